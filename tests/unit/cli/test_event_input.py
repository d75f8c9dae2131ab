"""Events out of JSON lines, an array or one document, in pieces of any size."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.cli import event_input
from worker.cli.event_input import BadInput, EventReader


def _read(content: bytes, piece: int = 7) -> list[tuple[int, bytes]]:
    reader = EventReader()
    events = []
    for start in range(0, len(content), piece):
        events += list(reader.feed(content[start : start + piece]))
    events += list(reader.finish())
    return [(one.number, one.body) for one in events]


@pytest.mark.parametrize("piece", [1, 3, 1000])
@pytest.mark.parametrize(
    ("content", "events"),
    [
        pytest.param(b"", [], id="nothing"),
        pytest.param(b"\n \n", [], id="blank lines only"),
        pytest.param(b'{"a":1}', [(1, b'{"a":1}')], id="one line without an end"),
        pytest.param(b'{"a":1}\n{"b":2}\n', [(1, b'{"a":1}'), (2, b'{"b":2}')], id="lines"),
        pytest.param(b'{"a":1}\r\n\r\n{"b":2}', [(1, b'{"a":1}'), (3, b'{"b":2}')], id="CRLF"),
        pytest.param(b'\xef\xbb\xbf{"a":1}\n', [(1, b'{"a":1}')], id="byte order mark"),
        pytest.param(b'[{"a": 1}, {"b": 2}]\n', [(1, b'{"a":1}'), (2, b'{"b":2}')], id="array"),
        pytest.param(b'\n[\n{"a": 1}\n]', [(1, b'{"a":1}')], id="array over lines"),
        pytest.param(b'\xef\xbb\xbf[{"a":1}]', [(1, b'{"a":1}')], id="array after a mark"),
        pytest.param(b"[]", [], id="empty array"),
        pytest.param(b'{\n "a": 1\n}\n', [(1, b'{\n "a": 1\n}')], id="one document over lines"),
    ],
)
def test_each_form_is_read(content: bytes, events: list[tuple[int, bytes]], piece: int) -> None:
    assert _read(content, piece) == events


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b'{"a":1}\nsecret', "line 2 is not JSON"),
        (b'{"a":1}\n\n[1]', "line 3 is not a JSON object"),
        (b"secret", "line 1 is not JSON"),
        (b'{"a":\n1,\nsecret}', "line 3 is not JSON"),
        (b'\n\n{"a":\nsecret', "line 4 is not JSON"),
        (b"7", "the document is not a JSON object"),
        (b'[{"a":1}, "secret"]', "item 2 is not a JSON object"),
        (b'[{"a":1}]\n[{"a":1}]', "line 2 is not JSON"),
    ],
)
def test_what_is_bad_is_named_and_not_quoted(content: bytes, place: str) -> None:
    with pytest.raises(BadInput) as error:
        _read(content)
    assert place in str(error.value)
    assert "secret" not in str(error.value)


def test_the_events_before_a_bad_line_are_given() -> None:
    reader = EventReader()
    reading = reader.feed(b'{"a":1}\nnot json\n')
    assert next(reading).body == b'{"a":1}'
    with pytest.raises(BadInput):
        next(reading)


def test_a_line_or_a_document_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_input, "MAX_LINE_BYTES", 100)
    monkeypatch.setattr(event_input, "MAX_DOCUMENT_BYTES", 200)
    with pytest.raises(BadInput, match="line 2 has more than 100 bytes"):
        _read(b'{"a":1}\n{"b":"' + b"x" * 101)
    with pytest.raises(BadInput, match="write JSON lines"):
        _read(b"[\n" + b" " * 201)


@given(
    documents=st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=9)), max_size=6),
    piece=st.integers(1, 40),
)
def test_pieces_of_any_size_give_the_same_events(
    documents: list[dict[str, str]], piece: int
) -> None:
    lines = [orjson.dumps(one) for one in documents]
    expected = list(enumerate(lines, 1))
    assert _read(b"\n".join(lines), piece) == expected
    assert _read(b"[" + b",\n".join(lines) + b"]", piece) == expected


def test_an_item_that_is_nested_deeper_than_can_be_written_is_named() -> None:
    reader = EventReader()
    list(reader.feed(b'[{"id": 1}, {"a": ' + b"[" * 300 + b"]" * 300 + b"}]"))
    with pytest.raises(BadInput, match="item 2 is nested too deep"):
        list(reader.finish())
