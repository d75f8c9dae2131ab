"""What is asked of a person's record, and what is read of the answer."""

from __future__ import annotations

import orjson

from tests.unit.examples import integration
from worker.adobe.profile_record import record_params, values_in
from worker.integrations.xdm_paths import PERSON
from worker.transform.decision_types import Identity

LENA = Identity("email", "lena.k@northwind.example", "personalEmail.address", "Email", False)
SHOP = integration(payload_mode="xdm", events="user")


def body(entity: object) -> bytes:
    return orjson.dumps({"xid": {"entityId": "xid", "entity": entity}})


def test_the_mapped_fields_are_asked_for_beside_what_is_surely_there() -> None:
    paths = ["_acme.news", f"idSpecific.Email.{PERSON}.consents", "_acme.news"]
    params = record_params(SHOP, LENA, paths)
    assert params["entityId"] == LENA.value
    assert params["fields"] == "personalEmail.address,identityMap,_acme.news,idSpecific.Email"


def test_a_list_that_is_too_long_for_a_url_asks_for_the_whole_record() -> None:
    paths = [f"_acme.purpose_with_a_long_name_{number}" for number in range(100)]
    assert "fields" not in record_params(SHOP, LENA, paths)


def test_values_are_read_as_they_stand_and_empty_ones_not() -> None:
    found = values_in(
        body(
            {
                "_acme": {"news": False, "tags": [], "none": None, "text": "", "tier": "gold"},
                "consents": {"email": {"val": "y", "time": "2026-01-01T00:00:00Z"}},
                "idSpecific": {"Email": {LENA.value: {"val": "n"}}},
            }
        ),
        LENA,
        [
            *(f"_acme.{name}" for name in ("news", "tags", "none", "text", "tier", "missing")),
            "consents.email",
            "_acme.news.deeper",
            f"idSpecific.Email.{PERSON}",
        ],
    )
    assert found == {
        "_acme.news": False,
        "_acme.tier": "gold",
        "consents.email": {"val": "y", "time": "2026-01-01T00:00:00Z"},
        f"idSpecific.Email.{PERSON}": {"val": "n"},
    }
