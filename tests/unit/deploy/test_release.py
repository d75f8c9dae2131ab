"""What a release is made of: packages by their hashes, a base by its digest, and what says so."""

from __future__ import annotations

import re
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from tarfile import TarFile
from typing import Any, Final

import pytest
import yaml
from hatchling.build import build_sdist, build_wheel
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).parents[3]
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS: Final = ("requirements.lock", "requirements-build.lock")
DOCKERFILE: Final = (ROOT / "Dockerfile").read_text()
_LOCKED: Final = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)(?: ; [^\\]+)? \\$", re.MULTILINE)


def _locked(name: str) -> dict[str, str]:
    text = (ROOT / name).read_text()
    return {canonicalize_name(package): version for package, version in _LOCKED.findall(text)}


def _constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().split()
    return {canonicalize_name(one.split("==")[0]): one.split("==")[1] for one in lines}


def _needed(names: list[str]) -> set[str]:
    """What has to be installed here for these requirements, and for what these need."""
    found: set[str] = set()
    waiting = [Requirement(one) for one in names]
    while waiting:
        one = waiting.pop()
        if one.marker is not None and not one.marker.evaluate({"extra": ""}):
            continue
        name = canonicalize_name(one.name)
        for line in distribution(name).requires or ():
            below = Requirement(line)
            extras = [{"extra": extra} for extra in one.extras] or [{"extra": ""}]
            is_meant = below.marker is None or any(below.marker.evaluate(each) for each in extras)
            if is_meant and canonicalize_name(below.name) not in found:
                below.marker = None
                waiting.append(below)
        found.add(name)
    return found


def test_the_lock_has_all_that_the_worker_needs_in_the_versions_that_were_tested() -> None:
    locked = _locked("requirements.lock")
    assert _needed(PROJECT["project"]["dependencies"]) <= set(locked)
    constraints = _constraints()
    assert {name: version for name, version in locked.items() if name in constraints} == {
        name: constraints[name] for name in locked if name in constraints
    }
    of_tests = {"pytest", "mypy", "ruff", "kubernetes-validate", "uv"}
    assert not set(locked) & of_tests
    assert {"hatchling", "cyclonedx-bom"} <= set(_locked("requirements-build.lock"))


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_has_hashes_and_no_registry_is_named(name: str) -> None:
    text = (ROOT / name).read_text()
    entries = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)
    packages = [one for one in entries if "==" in one]
    assert len(packages) == len(_locked(name)) > 5
    for one in packages:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", one), one.splitlines()[0]
    assert "://" not in text
    assert "index" not in text


def test_the_image_takes_nothing_that_has_no_hash() -> None:
    installs = re.findall(r"pip install ([^\n&]*)", DOCKERFILE)
    assert len(installs) == 3
    for one in installs:
        assert "--require-hashes" in one or ("--no-index" in one and "--no-deps" in one), one
    assert "ADD " not in DOCKERFILE


def test_the_plugin_is_the_file_that_was_meant() -> None:
    dockerfile = (ROOT / "deploy/rabbitmq-delayed-message/Dockerfile").read_text()
    assert re.search(r"^ARG CHECKSUM=sha256:[0-9a-f]{64}$", dockerfile, re.MULTILINE)
    assert re.findall(r"^ADD (\S+)", dockerfile, re.MULTILINE) == ["--checksum=${CHECKSUM}"]


def test_the_base_is_an_argument_and_the_image_says_what_it_is() -> None:
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) == ["${BASE}", "${BASE}"]
    labels = set(re.findall(r"org\.opencontainers\.image\.([a-z.]+)=", DOCKERFILE))
    said = {"title", "description", "licenses", "version", "revision", "created", "source"}
    assert labels == said | {"base.name"}
    assert PROJECT["project"]["description"] in DOCKERFILE
    assert "/app/share/consent-worker/sbom.cdx.json" in DOCKERFILE
    for page in ("SECURITY.md", "Makefile"):
        assert "/app/share/consent-worker/sbom.cdx.json" in (ROOT / page).read_text()


def _workflow(name: str) -> dict[str, Any]:
    said: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows" / name).read_text())
    return said


def _steps(workflow: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for job in workflow["jobs"].values():
        yield from job.get("steps", ())


def test_every_python_that_the_package_names_is_tested() -> None:
    tested = _workflow("ci.yml")["jobs"]["check"]["strategy"]["matrix"]["python"]
    named = [
        one.rpartition(" ")[2]
        for one in PROJECT["project"]["classifiers"]
        if re.search(r":: 3\.\d+$", one)
    ]
    assert tested == named == ["3.11", "3.12", "3.13", "3.14"]


def test_the_workflow_publishes_what_has_passed_and_for_both_architectures() -> None:
    release = _workflow("release.yml")
    text = (ROOT / ".github/workflows/release.yml").read_text()
    assert '\non:\n  push:\n    tags: ["v*"]\n' in text
    for job in ("files", "image"):
        assert release["jobs"][job]["needs"] == ["check", "audit"]
    assert release["jobs"]["check"]["uses"] == "./.github/workflows/ci.yml"
    assert any(one.get("run") == "make audit" for one in _steps(release))
    (build,) = (one["with"] for one in _steps(release) if "build-push" in one.get("uses", ""))
    assert build["platforms"] == "linux/amd64,linux/arm64"
    assert build["sbom"] is True
    given = {line.partition("=")[0] for line in build["build-args"].splitlines()}
    assert given == set(re.findall(r"^ARG (\w+)", DOCKERFILE, re.MULTILINE))
    assert release["permissions"] == {"contents": "read"}


def test_no_workflow_waits_for_one_that_it_calls() -> None:
    """In a called workflow `github.workflow` is the caller's name."""
    called = 0
    for path in sorted((ROOT / ".github/workflows").glob("*.yml")):
        caller = _workflow(path.name)
        group = caller.get("concurrency", {}).get("group", "")
        for job in caller["jobs"].values():
            if (name := job.get("uses", "")).startswith("./"):
                called += 1
                of_called = _workflow(Path(name).name)["concurrency"]["group"]
                assert "github.workflow" not in of_called
                assert group != of_called
    assert called


def test_the_makefile_gives_the_image_every_argument() -> None:
    makefile = (ROOT / "Makefile").read_text()
    given = set(re.findall(r"--build-arg (\w+)=", makefile))
    assert given == set(re.findall(r"^ARG (\w+)", DOCKERFILE, re.MULTILINE))


def test_wheel_and_sdist_have_all_of_the_program_and_are_the_same_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1764000000")
    made = []
    for name in ("first", "second"):
        directory = tmp_path / name
        directory.mkdir()
        made.append(
            [directory / build_wheel(str(directory)), directory / build_sdist(str(directory))]
        )
    (wheel, sdist), again = made
    assert [one.read_bytes() for one in (wheel, sdist)] == [one.read_bytes() for one in again]
    files = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "worker").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"worker/py.typed", "worker/ordering/begin.lua"} <= files
    in_wheel = set(zipfile.ZipFile(wheel).namelist())
    with TarFile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    assert files <= in_wheel
    assert files | {"README.md", "LICENSE", "CHANGELOG.md", "pyproject.toml"} <= in_sdist
