"""What is shown of Adobe's words is known to be harmless, whatever they quote and however."""

from __future__ import annotations

import base64
import re
import time
from itertools import product
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.adobe.collection_replies import classify_collection, classify_many
from worker.adobe.harmless_text import are_adobes_words, shown_transaction, shown_words
from worker.adobe.profile_lookup import classify_lookup
from worker.adobe.replies import Accepted, Permanent, Retryable
from worker.adobe.token_replies import classify_token

KEY = b"the fleet's"
HARMLESS = re.compile(
    r"(?s)(.*\. )?HTTP [0-9]{3}(: [A-Za-z0-9_' -]+){0,7}"
    r"( \(text [0-9a-f]{10}\))?( \(transaction [0-9a-fA-F:-]{1,64}\))?"
)
VALUE = "zoé.o'brien@northwind.example"
FORMS = [
    pytest.param(VALUE, id="as it is"),
    pytest.param(f"id_{VALUE}", id="after an underscore"),
    pytest.param(f"{VALUE}x", id="before a letter"),
    pytest.param("Zo\\u00eb", id="escaped as JSON"),
    pytest.param("O&#x27;Brien", id="escaped as HTML"),
    pytest.param("Jane+Doe", id="encoded as a form"),
    pytest.param("jane%2540northwind.example", id="encoded twice"),
    pytest.param(quote(VALUE), id="encoded once"),
    pytest.param(VALUE[:7], id="cut off"),
    pytest.param(base64.b64encode(VALUE.encode()).decode(), id="base64"),
    pytest.param(VALUE[::-1], id="the other way round"),
    pytest.param(VALUE.encode().hex(), id="hexadecimal"),
    pytest.param("4711", id="a number"),
    pytest.param("491705550161", id="a telephone number"),
    pytest.param("Lena Lindqvist", id="a name"),
    pytest.param("lena_lindqvist", id="a name in the shape of a code"),
    pytest.param("LENA-4711-400", id="a name in the shape of a service's code"),
    pytest.param("hush-client-id", id="a client id"),
    pytest.param("https://dcs.adobedc.net/collection/ab?key=hush", id="an endpoint with a query"),
]
PLACES = (
    *("error", "error_code", "errorCode", "code", "title", "message", "errorMessage", "type"),
    *("error_description", "detail", "detailed-message", "cause", "xactionId", "status", "other"),
)


def details(document: Any, status: int = 400) -> list[str]:
    """All that is said of a reply, whoever sent it."""
    body = orjson.dumps(document)
    items = orjson.dumps({"responses": [{"statusCode": status} | document, {"xactionId": "1"}]})
    many = classify_many(207, {}, items, 2, KEY)
    assert isinstance(many, list)
    replies = (
        classify_collection(status, {}, body, KEY),
        classify_lookup(status, {}, body, KEY),
        classify_token(status, {}, body, KEY),
        many[0],
    )
    assert all(isinstance(one, (Retryable, Permanent)) for one in replies)
    return [one.detail for one in replies if isinstance(one, (Retryable, Permanent))]


@pytest.mark.parametrize("value", FORMS)
@pytest.mark.parametrize("place", PLACES)
def test_no_value_that_is_quoted_is_shown_in_any_form_or_place(value: str, place: str) -> None:
    documents = (
        {place: value},
        {place: f"no such contact: {value}."},
        {"title": "Forbidden", "report": {place: value}},
    )
    for document, status in product(documents, (400, 401, 403, 500)):
        for detail in details(document, status):
            shown = re.sub(r"\(text [0-9a-f]{10}\)", "", detail)
            assert HARMLESS.fullmatch(detail)
            assert value not in shown
            assert value.casefold()[-5:] not in shown.casefold()


@given(
    st.dictionaries(st.sampled_from(PLACES), st.text(max_size=200) | st.integers(), max_size=6),
    st.sampled_from([400, 403, 500]),
)
def test_a_detail_has_the_harmless_shape_and_a_bound(document: Any, status: int) -> None:
    said = shown_words(status, document | {"report": document}, KEY)
    assert HARMLESS.fullmatch(said)
    assert are_adobes_words(said)
    assert len(said) < 400


@pytest.mark.parametrize(
    "said",
    [
        *("", "503", "HTTP 4000", "HTTP 400: lena@b.example", "HTTP 400: Lena", "HTTP 400 "),
        *("HTTP 400: Forbidden (text lena)", "HTTP 400: Forbidden\n", "the body is no JSON"),
        "HTTP 400: Forbidden (transaction 4915123456789)",
    ],
)
def test_what_has_other_words_is_not_taken_for_adobes(said: str) -> None:
    assert not are_adobes_words(said)


@pytest.mark.parametrize(
    ("document", "detail"),
    [
        ({"error": "invalid_client"}, "HTTP 400: invalid_client"),
        (
            {"error": "invalid_client", "error_description": "invalid client_secret parameter"},
            "HTTP 400: invalid_client: invalid client_secret parameter",
        ),
        ({"error_code": "400013"}, "HTTP 400: 400013"),
        ({"error_code": 400013}, "HTTP 400: 400013"),
        ({"title": "INVALID xdm message format"}, "HTTP 400: Invalid XDM Message Format"),
        ({"type": "https://ns.adobe.com/aep/errors/FLOW-1439-404"}, "HTTP 400: FLOW-1439-404"),
        ({"cause": "UPS-ACC-1000004"}, "HTTP 400: UPS-ACC-1000004"),
        ({"report": {"message": "unknown xdm format"}}, "HTTP 400: unknown xdm format"),
        (
            {"title": "Forbidden", "xactionId": "1565650704337:2124:92:3"},
            "HTTP 400: Forbidden (transaction 1565650704337:2124:92:3)",
        ),
        ([{"title": "Forbidden"}, {"title": "Unauthorized"}], "HTTP 400: Forbidden"),
        ({"title": 7, "report": "x"}, "HTTP 400"),
        ("text", "HTTP 400"),
    ],
)
def test_what_is_known_of_adobe_is_shown(document: Any, detail: str) -> None:
    assert shown_words(400, document, KEY) == detail


def test_a_text_from_the_table_is_shown_without_what_surrounds_it() -> None:
    text = "inletId: [hush] imsOrgId: [hush@AdobeOrg] Message has unknown xdm format"
    said = shown_words(400, {"report": {"message": text}}, KEY)
    assert re.fullmatch(r"HTTP 400: unknown xdm format \(text [0-9a-f]{10}\)", said)


def test_equal_texts_have_one_fingerprint_whatever_values_they_quote() -> None:
    def said(text: str, key: bytes = KEY) -> str:
        return shown_words(400, {"message": text}, key)

    assert said("no such contact: a@b.example") == said("no such contact: 'c%40d' ")
    assert said("no such contact [1]") != said("no such dataset [1]")
    assert said("no such contact") != said("no such contact", b"another fleet's")
    assert said("no such contact", b"") == said("no such contact", b"")


@pytest.mark.parametrize(
    ("said", "is_shown"),
    [
        ("1584479347507:2153:240", True),
        ("1565650704337:2124:92:3", True),
        ("3f2504e0-4f89-41d3-9a0c-0305e82c3301-12", True),
        ("3f2504e0-4f89-41d3-9a0c-0305e82c3301", True),
        ("17:1:eyJhbGciOiJ", False),
        ("1584479347507:2153:240:1:2", False),
        ("1584479347507:2153:4915123456789", False),
        ("1584479347507:lena:240", False),
        ("1584479347507:2153:240 ", False),
        ("1584479347507:2153:240\n", False),
        ("lena", False),
        ("4711", False),
        ("²584479347507:2153:240", False),
        ("", False),
        (7, False),
        (None, False),
    ],
)
def test_a_transaction_is_shown_in_its_documented_shapes_only(said: object, is_shown: bool) -> None:
    assert shown_transaction(said) == (said if is_shown else None)
    if isinstance(said, str):
        reply = classify_collection(200, {}, orjson.dumps({"xactionId": said}))
        assert not isinstance(reply, Accepted) or reply.xaction_id == shown_transaction(said)


def test_a_text_of_any_size_costs_little() -> None:
    """The text may come from whoever answers; the whole worker stands still meanwhile."""
    for part in ("[", "'", "a ", "(", "DCVS-", "@", "x", "1"):
        item = b'{"statusCode": 400, "message": "%s"}' % (part.encode() * (2000 // len(part)))
        began = time.process_time()
        classify_many(207, {}, b'{"responses": [%s]}' % b",".join([item] * 1000), 1000, KEY)
        assert time.process_time() - began < 2, "seconds, for a pattern that tries all beginnings"


def test_of_the_items_of_a_large_batch_only_the_beginning_is_read() -> None:
    """All of them together cost no more than a few long texts."""
    beginning = "Absent or wrong IMS Org in the header. "

    def replies(count: int, end: str) -> list[Any]:
        item = {"statusCode": 400, "message": beginning + "word " * 200 + end}
        many = classify_many(207, {}, orjson.dumps({"responses": [item] * count}), count, KEY)
        assert isinstance(many, list)
        return many

    assert replies(1, "one") != replies(1, "other")
    assert replies(1000, "one") == replies(1000, "other")
    assert {one.fault for one in replies(1000, "one")} == {"set-up"}
