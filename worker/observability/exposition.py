"""How the metrics are written for a scrape, in slices: thousands of integrations have so many
series that to write them in one go would hold up every event for half a second.
"""

from __future__ import annotations

import copy
import zlib
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric, Sample
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

SLICE_SAMPLES: Final = 1000
"""They take some 5 ms."""
_GZIP: Final = 16 + zlib.MAX_WBITS
_GZIP_LEVEL: Final = 1
"""The text repeats itself so much that more effort brings little."""
_END: Final = "# EOF\n"


class Exposition(NamedTuple):
    """The answer to a scrape: headers, and a body in parts, each made when it is asked for."""

    headers: dict[str, str]
    parts: Iterator[bytes]


Encode = Callable[..., bytes]


def exposition(registry: CollectorRegistry, accept: str, accept_encoding: str) -> Exposition:
    """All metrics of `registry`, in the format and the encoding that the scraper asks for."""
    encode: Encode = generate_latest
    content_type = CONTENT_TYPE_PLAIN_0_0_4
    if any(map(_is_openmetrics, accept.split(","))):
        encode, content_type = openmetrics.generate_latest, openmetrics.CONTENT_TYPE_LATEST
    parts = _slices(registry, encode)
    headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
    if "gzip" in {one.partition(";")[0].strip().lower() for one in accept_encoding.split(",")}:
        headers["Content-Encoding"] = "gzip"
        parts = _compressed(parts)
    return Exposition(headers, parts)


def _is_openmetrics(accepted: str) -> bool:
    """Whether a part of an Accept header names the version that is spoken, or none. Anybody may
    write anything there.
    """
    media_type, *parameters = (one.strip().lower() for one in accepted.split(";"))
    versions = [one for one in parameters if one.startswith("version=")]
    return media_type == "application/openmetrics-text" and versions in ([], ["version=1.0.0"])


class _Head(Collector):
    """A metric without series, for the client's encoders."""

    def __init__(self, metric: Metric) -> None:
        self._metric = copy.copy(metric)
        self._metric.samples = []

    def collect(self) -> list[Metric]:
        return [self._metric]


def _slices(registry: CollectorRegistry, encode: Encode) -> Iterator[bytes]:
    """The client's encoders take up to four times as long for a line as `_line`, which is all that
    a counter, a gauge or a histogram needs in either format.
    """
    written: list[str] = []
    samples = 0
    end = ""
    for metric in registry.collect():
        head = encode(_Head(metric)).decode()
        end = _END if head.endswith(_END) else ""
        written.append(head.removesuffix(_END))
        for sample in metric.samples:
            written.append(_line(sample))
            samples += 1
            if samples == SLICE_SAMPLES:
                yield "".join(written).encode()
                written, samples = [], 0
    yield ("".join(written) + end).encode()


def _line(sample: Sample) -> str:
    value = floatToGoString(sample.value)  # type: ignore[no-untyped-call]
    if not sample.labels:
        return f"{sample.name} {value}\n"
    labels = [f'{name}="{_escaped(said)}"' for name, said in sorted(sample.labels.items())]
    return f"{sample.name}{{{','.join(labels)}}} {value}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _compressed(parts: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP)
    for part in parts:
        yield packer.compress(part)
    yield packer.flush()
