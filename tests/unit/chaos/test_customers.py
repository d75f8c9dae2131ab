"""What the worker makes of the customers of a run, and of their events."""

from __future__ import annotations

import pytest

from devtools.chaos.customers import CUSTOMERS, Customer, draw
from devtools.choices import mappings
from devtools.examples import integration_document
from tests.unit.examples import integration
from worker.events import open_envelope
from worker.ordering.user_digests import UserKeys


@pytest.mark.parametrize("customer", CUSTOMERS, ids=lambda one: one.id)
def test_the_integration_of_a_customer_is_valid(customer: Customer) -> None:
    endpoint = f"https://dcs.adobedc.net/collection/{customer.id}"
    properties = integration_document()["properties"] | {"dataflow_endpoint": endpoint}
    changes = customer.changes | {"mappings": mappings(), "properties": properties}
    assert integration(id=customer.id, **changes).id == customer.id


def test_workers_tell_the_events_of_a_customer_apart() -> None:
    keys = UserKeys(b"a secret")
    for customer, events in draw(1, 1_000).items():
        assert len({customer.body(event) for event in events}) == len(events)
        assert len({customer.told_id(event, keys) for event in events}) == len(events)


def test_the_snapshots_of_a_user_are_of_one_device_and_of_many_moments() -> None:
    (customer,) = (one for one in CUSTOMERS if one.takes_snapshots)
    events = draw(1, 1_000)[customer]
    devices = {(event.user, open_envelope(customer.body(event)).event_id) for event in events}
    assert len(devices) == len({event.user for event in events})
    assert len({(event.user, event.at) for event in events}) == len(events)
