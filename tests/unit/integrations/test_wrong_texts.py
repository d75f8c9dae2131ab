"""Files that are no single integration: the place and the reason, and what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devtools.examples import integration_document
from worker.integrations.loading import InvalidIntegration, load_integration
from worker.integrations.secret_references import SecretSource

DOCUMENT = integration_document()
TEXT = json.dumps(DOCUMENT, indent=2)
SECRETS = SecretSource({})
COMMA = (
    "a comma stands before the closing {}; take it out (the example on Didomi's page has one too)"
)
MARKS = 'texts stand in straight double marks ("…")'
TWICE = "is there more than once: take one out"


def _swapped(old: str, new: str) -> str:
    assert TEXT.count(old) == 1
    return TEXT.replace(old, new)


def _refusal(path: Path) -> InvalidIntegration:
    with pytest.raises(InvalidIntegration) as refused:
        load_integration(path, SECRETS, lambda _: None)
    return refused.value


WRONG: list[tuple[str, str | bytes, str]] = [
    ("a number without end", _swapped("true", "1" * 5_000), "has a number of thousands of digits"),
    ("nothing", " \n", "is empty: it must hold one integration in { }"),
    (
        "a comma at the end",
        _swapped('"upsert_mode": true\n', '"upsert_mode": true,\n'),
        f"is not JSON (line 26, column 22): {COMMA.format('}')}",
    ),
    (
        "a comma at the end of a list",
        _swapped('_enabled"\n    }', '_enabled"\n    } ,'),
        f"is not JSON (line 24, column 7): {COMMA.format(']')}",
    ),
    ("a comment", f"// shop\n{TEXT}", "is not JSON (line 1, column 1): JSON has no comments: take "
        "it out"),
    ("a missing comma", _swapped('"shop",', '"shop"'), "is not JSON (line 3, column 3): a comma is "
        "missing before this place"),
    ("a missing colon", _swapped('"id": "shop"', '"id" "shop"'), "is not JSON (line 2, column 8): "
        "a colon is missing before this place"),
    ("single marks", _swapped('"shop"', "'shop'"), f"is not JSON (line 2, column 9): {MARKS}"),
    ("curled marks", _swapped('"shop"', "“shop”"), f"is not JSON (line 2, column 9): {MARKS}"),
    ("no marks", _swapped('"shop"', "shop"), "is not JSON (line 2, column 9): a value is missing, "
        "or a text stands without quotation marks"),
    ("a bare name", _swapped('"id": "shop"', 'id: "shop"'), "is not JSON (line 2, column 3): the "
        'name of a field in double quotation marks ("…") is missing'),
    ("Python", _swapped(": true", ": True"), "is not JSON (line 26, column 18): write true, false "
        "and null so, in small letters"),
    ("half of it", TEXT[: TEXT.index('"organization_id"')], "is not JSON (line 3, column 3): it "
        "ends too early: a } or ] is missing, or it is half written"),
    ("half a text", TEXT[: TEXT.index("northwind") + 3], "is not JSON (line 3, column 22): a text "
        "begins here and never ends: its closing quotation mark is missing"),
    ("a line break", _swapped('"shop"', '"sh\nop"'), "is not JSON (line 2, column 12): a text "
        r"holds a line break or a tab: write \n or \t"),
    ("a backslash", _swapped('"shop"', r'"sh\op"'), "is not JSON (line 2, column 12): a backslash "
        r"begins an escape: write \\ for the character itself"),
    ("two of them", TEXT + TEXT, "is not JSON (line 27, column 2): more stands behind the "
        "integration: a file holds one"),
    ("no number", _swapped(": true", ": NaN"), "is not JSON: it holds NaN, Infinity or half a "
        "character, which JSON does not have"),
    ("UTF-16", TEXT.encode("utf-16"), "is not UTF-8: save it in that encoding (it looks like "
        "UTF-16)"),
    ("Latin-1", _swapped('"shop"', '"süß"').encode("latin-1"), "is not UTF-8 (line 2): save it in "
        "that encoding"),
    ("a text alone", '"x"', "must be a JSON object: one integration in { }"),
    ("an id twice", _swapped('"id": "shop",', '"id": "shop", "id": "x",'), f"id: {TWICE}"),
    ("an entry's id twice", _swapped('"id": "_acme.news",', '"id": "_acme.news", "id": "b",'),
        f"mappings.1.id: {TWICE}"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "sentence"), [pytest.param(*row, id=name) for name, *row in WRONG]
)
def test_it_is_refused_with_the_reason(tmp_path: Path, content: str | bytes, sentence: str) -> None:
    path = tmp_path / "shop.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert _refusal(path).problems == [sentence]


ADVICE = "holds a list, and a file holds one integration: save each entry of "


@pytest.mark.parametrize(
    ("document", "sentence", "organization_id"),
    [
        pytest.param([DOCUMENT], "the list as a file of its own", "northwind", id="of one"),
        pytest.param(
            [DOCUMENT, integration_document(organization_id="southwind")],
            "the list as a file of its own",
            None,
            id="of two organizations",
        ),
        pytest.param([], "the list as a file of its own", None, id="of none"),
        pytest.param([[DOCUMENT]], "the list as a file of its own", None, id="of lists"),
        pytest.param(
            {"total": 1, "data": [DOCUMENT]},
            "data, which Didomi's API answers, as a file of its own",
            "northwind",
            id="Didomi's",
        ),
    ],
)
def test_a_list_is_refused_and_harms_nobody_but_whom_it_is_about(
    tmp_path: Path, document: Any, sentence: str, organization_id: str | None
) -> None:
    path = tmp_path / "shop.json"
    path.write_text(json.dumps(document))
    refusal = _refusal(path)
    assert refusal.problems == [ADVICE + sentence]
    assert refusal.organization_id == organization_id


def test_a_mark_of_the_byte_order_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "shop.json"
    path.write_text(TEXT, encoding="utf-8-sig")
    assert load_integration(path, SECRETS, lambda _: None).id == "shop"


def test_the_schema_that_a_file_names_is_for_editors(tmp_path: Path) -> None:
    path = tmp_path / "shop.json"
    path.write_text(json.dumps({"$schema": "./integration.schema.json"} | DOCUMENT))
    assert load_integration(path, SECRETS, lambda _: None).id == "shop"


def test_a_name_that_is_no_id_is_said_to_be_the_file_s(tmp_path: Path) -> None:
    path = tmp_path / "my shop.json"
    path.write_text(json.dumps({key: DOCUMENT[key] for key in DOCUMENT if key != "id"}))
    refusal = _refusal(path)
    assert refusal.problems == [
        "the name of the file can't be the id (letters, digits, dots, _ and -, from a letter or "
        "digit on, 128 at most): rename it, or give it an id"
    ]
    assert (refusal.integration_id, refusal.organization_id) == (None, "northwind")
