"""What is made of an integration goes with it, so no credentials stay of one that is gone."""

from __future__ import annotations

import gc
from weakref import ref

from devtools.examples import integration_document
from worker.integrations.model import Derived, Integration
from worker.transform.mapping_plan import plan_of
from worker.transform.xdm_message import encode_message


def _integration(name: str = "shop") -> Integration:
    return Integration.model_validate(integration_document(id=name))


def test_it_is_made_once_for_each_integration_in_force() -> None:
    made: list[Integration] = []

    def make(one: Integration) -> int:
        made.append(one)
        return len(made)

    derived = Derived("number", make)
    first, changed = _integration(), _integration()
    assert [derived.of(first), derived.of(first), derived.of(changed)] == [1, 1, 2]
    assert [one is first for one in made] == [True, False]


def test_a_copy_makes_its_own() -> None:
    derived = Derived("id", lambda one: one.id)
    first = _integration("first")
    assert derived.of(first) == "first"
    assert derived.of(first.model_copy(update={"id": "other"})) == "other"


def test_what_was_made_is_no_part_of_the_integration() -> None:
    made, plain = _integration(), _integration()
    plan_of(made)
    encode_message(made, {"a": 1})
    assert made == plain
    assert made.model_dump_json() == plain.model_dump_json()


def test_neither_plan_nor_message_keeps_an_integration() -> None:
    integration = _integration()
    plan_of(integration)
    encode_message(integration, {"a": 1})
    watched = ref(integration)
    del integration
    gc.collect()
    assert watched() is None
