"""What `kubectl kustomize` makes of a directory, as far as the manifests here use it: whatever else
stands in a kustomization is an error, so that nothing is passed over.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]
_WORKLOADS = ("Deployment", "StatefulSet")
_OF_NO_NAMESPACE = ("Namespace",)


def documents_in(path: Path) -> list[Manifest]:
    """The objects of a file."""
    return [one for one in yaml.safe_load_all(path.read_text()) if one is not None]


def build(directory: Path) -> list[Manifest]:
    """All objects of a kustomization. Generated names have no digest at their end."""
    objects: list[Manifest] = []
    _add(directory, objects)
    return objects


def _add(directory: Path, objects: list[Manifest]) -> None:
    said = dict(documents_in(directory / "kustomization.yaml")[0])
    assert said.pop("apiVersion").startswith("kustomize.config.k8s.io/")
    assert said.pop("kind") in ("Kustomization", "Component")
    namespace = said.pop("namespace", None)
    for name in said.pop("resources", ()):
        if (directory / name).is_dir():
            _add(directory / name, objects)
        else:
            objects.extend(documents_in(directory / name))
    for name in said.pop("components", ()):
        _add(directory / name, objects)
    for one in said.pop("configMapGenerator", ()):
        _generate(directory, dict(one), objects)
    for one in said.pop("patches", ()):
        _patch(dict(one), objects)
    for one in said.pop("images", ()):
        _set_image(dict(one), objects)
    assert not said, f"{directory}: nobody here knows {', '.join(said)}"
    if namespace is not None:
        for manifest in objects:
            if manifest["kind"] not in _OF_NO_NAMESPACE:
                manifest["metadata"]["namespace"] = namespace


def _generate(directory: Path, said: dict[str, Any], objects: list[Manifest]) -> None:
    name, behavior = said.pop("name"), said.pop("behavior", "create")
    said.pop("options", None)
    data: dict[str, str] = {}
    for one in said.pop("envs", ()):
        data |= _pairs((directory / one).read_text().splitlines())
    data |= _pairs(said.pop("literals", ()))
    for one in said.pop("files", ()):
        data[Path(one).name] = (directory / one).read_text()
    assert not said, f"{directory}: nobody here knows {', '.join(said)}"
    if behavior == "merge":
        find(objects, "ConfigMap", name)["data"].update(data)
        return
    assert behavior == "create"
    metadata = {"name": name}
    objects.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


def _pairs(lines: Any) -> dict[str, str]:
    said = [line for line in lines if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in said)


def _patch(said: dict[str, Any], objects: list[Manifest]) -> None:
    target, operations = said.pop("target"), yaml.safe_load(said.pop("patch"))
    assert not said
    manifest = find(objects, target["kind"], target["name"])
    for one in operations:
        *way, last = one["path"].strip("/").split("/")
        at: Any = manifest
        for step in way:
            at = at[int(step)] if isinstance(at, list) else at[step]
        if one["op"] == "add" and isinstance(at, list):
            assert last == "-"
            at.append(copy.deepcopy(one["value"]))
        else:
            assert one["op"] == "remove"
            del at[last]


def _set_image(said: dict[str, Any], objects: list[Manifest]) -> None:
    name = said.pop("name")
    image = f"{said.pop('newName', name)}:{said.pop('newTag')}"
    assert not said
    for manifest in objects:
        if manifest["kind"] in _WORKLOADS:
            for container in manifest["spec"]["template"]["spec"]["containers"]:
                if container["image"] == name:
                    container["image"] = image


def find(objects: list[Manifest], kind: str, name: str) -> Manifest:
    """The one of that kind and name."""
    (found,) = (one for one in objects if (one["kind"], one["metadata"]["name"]) == (kind, name))
    return found


def of_kind(objects: list[Manifest], *kinds: str) -> list[Manifest]:
    """All of these kinds."""
    return [one for one in objects if one["kind"] in kinds]


def workloads(objects: list[Manifest]) -> list[Manifest]:
    """What runs pods."""
    return of_kind(objects, *_WORKLOADS)


def pod_of(workload: Manifest) -> dict[str, Any]:
    """The spec of its pods."""
    spec: dict[str, Any] = workload["spec"]["template"]["spec"]
    return spec
