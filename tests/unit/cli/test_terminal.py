"""What a producer chose is shown so that it does nothing to a terminal, and can be meant again."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.cli.terminal import in_column, json_shown, shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("letter-1", "letter-1"),
        ("Zoë", "Zoë"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("a\nb\r\t", "a\\nb\\r\\t"),
        ("\u202eabc\u2066", "\\u202eabc\\u2066"),
        ("\x9b2J\x7f", "\\x9b2J\\x7f"),
        ("a\\nb", "a\\\\nb"),
        ("\U000e0001", "\\U000e0001"),
    ],
)
def test_what_does_not_print_as_itself_is_escaped(text: str, expected: str) -> None:
    assert shown(text) == expected


@given(st.text())
def test_what_is_shown_prints_in_one_line(text: str) -> None:
    for one in (shown(text), in_column(text)):
        assert one.isprintable()
    assert " " not in in_column(text)


@given(st.text())
def test_json_that_is_shown_is_the_same_document_and_does_nothing(text: str) -> None:
    written = json_shown(json.dumps({"a": text}, ensure_ascii=False))
    assert json.loads(written) == {"a": text}
    assert written.isprintable()
