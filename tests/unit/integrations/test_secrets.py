"""References in `authentication`: what they become, where they may lead, and what is said."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from worker.integrations.secret_references import SecretSource, resolve_references

ENV = {
    "ONE": "first",
    "TWO": "second",
    "EMPTY": "",
    "BLANK": " \n",
    "BROKEN": "\n third \r\n",
    "NESTED": "${ONE}",
    "CONSENT_WORKER_AMQP_URL": "first",
    "consent_worker_redis_url": "first",
    "ADOBE_KEY": "key",
}
SOURCE = SecretSource(ENV)


def _resolve(value: object, base: Path, source: SecretSource = SOURCE) -> tuple[object, list[str]]:
    resolution = resolve_references({"client_secret": value}, source, base)
    return resolution.authentication["client_secret"], resolution.problems


@pytest.mark.parametrize(
    ("value", "resolved"),
    [
        pytest.param("plain", "plain", id="plain"),
        pytest.param("${ONE}", "first", id="variable"),
        pytest.param("a-${ONE}-${TWO}", "a-first-second", id="within text"),
        pytest.param("${NESTED}", "${ONE}", id="resolved once"),
        pytest.param("a$ONE", "a$ONE", id="no reference"),
        pytest.param("${BROKEN}", "third", id="without outer white space"),
        pytest.param("file:secret", "from a file", id="file"),
        pytest.param("file:..data/secret", "from a link", id="file in a hidden directory"),
        pytest.param(7, 7, id="no text, for the model to refuse"),
    ],
)
def test_a_reference_is_replaced(tmp_path: Path, value: object, resolved: object) -> None:
    (tmp_path / "secret").write_text("\n from a file \n")
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "secret").write_text("from a link")
    assert _resolve(value, tmp_path) == (resolved, [])


@pytest.mark.parametrize(
    ("value", "said"),
    [
        pytest.param("${ABSENT}", "the environment variable ABSENT is not set", id="absent"),
        pytest.param("${EMPTY}", "the environment variable EMPTY is not set", id="empty"),
        pytest.param("${BLANK}", "variable BLANK is not set, or empty", id="blank"),
        pytest.param("$ONE", "is written with braces: ${NAME}", id="without braces"),
        pytest.param("${ONE", "has ${ without a name and } behind it", id="half a reference"),
        pytest.param("${}", "has ${ without a name and } behind it", id="no name"),
        pytest.param("${ONE}${1}", "has ${ without a name and } behind it", id="no such name"),
        pytest.param("${ONE}${ABSENT}", "variable ABSENT is not set", id="one of two"),
        pytest.param("file:absent", "can't be read (FileNotFoundError)", id="no file"),
        pytest.param("file:.", "is no regular file", id="a directory"),
        pytest.param("file:binary", "can't be read (UnicodeDecodeError)", id="no text"),
        pytest.param("file:a\x00b", "can't be read (ValueError)", id="no path"),
        pytest.param("file:" + "a" * 5_000, "can't be read (OSError)", id="name too long"),
        pytest.param("file:loop", "can't be read (OSError)", id="a link to itself"),
    ],
)
def test_what_cannot_be_resolved_is_named_and_no_secret_with_it(
    tmp_path: Path, value: str, said: str
) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "loop").symlink_to("loop")
    resolved, (problem,) = _resolve(value, tmp_path)
    assert problem.startswith("authentication.client_secret: ")
    assert said in problem
    assert "first" not in problem
    assert len(problem) < 1_000
    assert resolved == "unresolved"


@pytest.mark.parametrize(
    ("prefix", "name", "is_allowed"),
    [
        pytest.param("", "ONE", True, id="any"),
        pytest.param("", "CONSENT_WORKER_AMQP_URL", False, id="a setting"),
        pytest.param("", "consent_worker_redis_url", False, id="a setting, in small letters"),
        pytest.param("ADOBE_", "ADOBE_KEY", True, id="of the prefix"),
        pytest.param("ADOBE_", "ONE", False, id="not of the prefix"),
        pytest.param("CONSENT_", "CONSENT_WORKER_AMQP_URL", False, id="a setting by a wide prefix"),
    ],
)
def test_the_worker_s_own_settings_are_not_for_integrations(
    tmp_path: Path, prefix: str, name: str, is_allowed: bool
) -> None:
    resolved, problems = _resolve(f"${{{name}}}", tmp_path, SecretSource(ENV, prefix))
    if is_allowed:
        assert (resolved, problems) == (ENV[name], [])
    else:
        assert f"the environment variable {name} may not be named here" in problems[0]
        assert "first" not in problems[0]


@contextmanager
def _bound(path: Path) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))
        yield


@pytest.mark.timeout(10)
def test_what_would_block_or_never_end_is_no_secret(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with _bound(tmp_path / "socket"):
        for name in ("fifo", "socket", "/dev/zero", "/dev/tty", "/dev/stdin"):
            everywhere = SecretSource(ENV, directories=("/",))
            _, (problem,) = _resolve(f"file:{name}", tmp_path, everywhere)
            assert "is no regular file" in problem or "can't be read" in problem, name


@pytest.mark.parametrize(("size", "is_fine"), [(65_536, True), (65_537, False), (1 << 40, False)])
def test_a_secret_has_64_kib_at_most(tmp_path: Path, size: int, is_fine: bool) -> None:
    with (tmp_path / "secret").open("wb") as file:
        file.truncate(size)
    resolved, problems = _resolve("file:secret", tmp_path)
    if is_fine:
        assert (resolved, problems) == ("\x00" * size, [])
    else:
        assert problems == [
            f"authentication.client_secret: the file {tmp_path}/secret is larger than 65536 bytes"
        ]


@pytest.fixture
def places(tmp_path: Path) -> Path:
    """`integrations` and `mounted`, which is a link to where the secrets really are."""
    (tmp_path / "integrations").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "key").write_text("from elsewhere")
    (tmp_path / "mounted").symlink_to("elsewhere")
    (tmp_path / "mounted-too").mkdir()
    (tmp_path / "mounted-too" / "key").write_text("too")
    (tmp_path / "integrations" / "link").symlink_to(tmp_path / "elsewhere" / "key")
    return tmp_path


@pytest.mark.parametrize(
    ("directories", "value", "is_allowed"),
    [
        pytest.param((".",), "/etc/hostname", False, id="anywhere"),
        pytest.param((".",), "../elsewhere/key", False, id="out by dots"),
        pytest.param((".",), "link", False, id="out by a link"),
        pytest.param((".",), "/proc/self/environ", False, id="the process's own"),
        pytest.param(("mounted",), "{}/elsewhere/key", False, id="a relative one is the base's"),
        pytest.param(("{}/mounted",), "{}/mounted/key", True, id="below a link"),
        pytest.param(("{}/mounted",), "{}/elsewhere/key", True, id="where the link leads"),
        pytest.param(("{}/mounted",), "link", True, id="a link to below a link"),
        pytest.param(("{}/mounted",), "{}/mounted-too/key", False, id="a name that begins alike"),
        pytest.param((), "link", False, id="none at all"),
    ],
)
def test_a_secret_lies_below_an_allowed_directory(
    places: Path, directories: tuple[str, ...], value: str, is_allowed: bool
) -> None:
    source = SecretSource(ENV, directories=tuple(one.format(places) for one in directories))
    resolved, problems = _resolve(f"file:{value.format(places)}", places / "integrations", source)
    if is_allowed:
        assert (resolved, problems) == ("from elsewhere", [])
    else:
        assert resolved == "unresolved"
        assert "is outside of the directories for secrets" in problems[0]
