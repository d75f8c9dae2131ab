"""References in `authentication`: what they become, and what is said when they can't."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.integrations.secrets import resolve_references

ENV = {"ONE": "first", "TWO": "second", "EMPTY": "", "NESTED": "${ONE}"}


@pytest.mark.parametrize(
    ("value", "resolved"),
    [
        pytest.param("plain", "plain", id="plain"),
        pytest.param("${ONE}", "first", id="variable"),
        pytest.param("a-${ONE}-${TWO}", "a-first-second", id="within text"),
        pytest.param("${NESTED}", "${ONE}", id="resolved once"),
        pytest.param("$ONE ${} ${1}", "$ONE ${} ${1}", id="no reference"),
        pytest.param("file:secret", "from a file", id="file"),
        pytest.param(7, 7, id="no text, for the model to refuse"),
    ],
)
def test_a_reference_is_replaced(tmp_path: Path, value: object, resolved: object) -> None:
    (tmp_path / "secret").write_text("\n from a file \n")
    assert resolve_references({"client_secret": value}, ENV, tmp_path) == (
        {"client_secret": resolved},
        [],
    )


def test_a_path_may_be_absolute(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file")
    reference = {"api_key": f"file:{tmp_path / 'secret'}"}
    assert resolve_references(reference, {}, Path("/nowhere")) == ({"api_key": "from a file"}, [])


@pytest.mark.parametrize(
    ("value", "said"),
    [
        pytest.param("${ABSENT}", "the environment variable ABSENT is not set", id="absent"),
        pytest.param("${EMPTY}", "the environment variable EMPTY is not set", id="empty"),
        pytest.param("${ONE}${ABSENT}", "variable ABSENT is not set", id="one of two"),
        pytest.param("file:absent", "can't be read (FileNotFoundError)", id="no file"),
        pytest.param("file:.", "can't be read (IsADirectoryError)", id="a directory"),
        pytest.param("file:binary", "can't be read (UnicodeDecodeError)", id="no text"),
        pytest.param("file:a\x00b", "can't be read (ValueError)", id="no path"),
    ],
)
def test_what_cannot_be_resolved_is_named_and_no_secret_with_it(
    tmp_path: Path, value: str, said: str
) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    resolved, (problem,) = resolve_references({"client_secret": value}, ENV, tmp_path)
    assert problem.startswith("authentication.client_secret: ")
    assert said in problem
    assert "first" not in problem
    assert resolved == {"client_secret": "unresolved"}
