"""What is vendored is what the page beside it says, and static files are kept for good."""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

import pytest

from tests.unit.console.console_parts import RunningConsole
from worker.console.static_files import static_link

ROOT = Path(__file__).parents[3]
VENDORED = (
    ROOT / "worker/console/static/vendor",
    ROOT / "tests/browser/vendor",
    ROOT / "tests/unit/deploy/vendor",
)


@pytest.mark.parametrize("directory", VENDORED, ids=["console", "browser", "compose"])
def test_vendored_files_have_the_digests_that_are_written_down(directory: Path) -> None:
    said = (directory / "VENDORED.md").read_text()
    digests = set(re.findall(r"[0-9a-f]{64}", said))
    files = [one for one in directory.iterdir() if one.suffix in (".js", ".css", ".json")]
    assert {hashlib.sha256(one.read_bytes()).hexdigest() for one in files} == digests
    assert len(files) == len(digests)
    for one in files:
        assert f"`{one.name}`" in said
        (licence,) = directory.glob(f"{one.name.partition('.')[0]}.LICENSE")
        assert licence.stat().st_size > 200


async def test_a_static_file_is_compressed_and_kept_for_good(console: RunningConsole) -> None:
    link = static_link("console.css")
    answer = await console.get(link)
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
    plain = await console.get(link, headers={"Accept-Encoding": "identity"})
    assert plain.text == answer.text
    assert "Content-Encoding" not in plain.headers
    assert len(gzip.compress(plain.text.encode())) < 12_000
    for other in ("/static/0000000000000000/console.css", "/static/../app.py", link + ".map"):
        assert (await console.get(other)).status in (303, 404)
