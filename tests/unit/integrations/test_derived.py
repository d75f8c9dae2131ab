"""What is made of an integration goes with it, so no credentials stay of one that is gone."""

from __future__ import annotations

import gc
from weakref import ref

from devtools.examples import integration_document
from worker.integrations.derived import Derived
from worker.integrations.model import Integration
from worker.transform.plan import plan_of
from worker.transform.xdm import encode_message


def _integration(name: str = "shop") -> Integration:
    return Integration.model_validate(integration_document(id=name))


def test_it_is_made_once_for_each_integration_in_force() -> None:
    made: list[Integration] = []

    def make(one: Integration) -> int:
        made.append(one)
        return len(made)

    derived = Derived(make)
    first, changed = _integration(), _integration()
    assert [derived.of(first), derived.of(first), derived.of(changed)] == [1, 1, 2]
    assert [one is first for one in made] == [True, False]


def test_it_goes_with_its_integration() -> None:
    derived = Derived(lambda one: one.id)
    kept, gone = _integration("kept"), _integration("gone")
    assert [derived.of(kept), derived.of(gone)] == [kept.id, gone.id]
    del gone
    gc.collect()
    assert len(derived) == 1


def test_neither_plan_nor_message_keeps_an_integration() -> None:
    integration = _integration()
    plan_of(integration)
    encode_message(integration, {"a": 1})
    watched = ref(integration)
    del integration
    gc.collect()
    assert watched() is None
