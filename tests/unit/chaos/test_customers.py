"""Every customer of a run has a configuration that the worker takes."""

from __future__ import annotations

import pytest

from devtools.chaos.customers import CUSTOMERS, Customer
from devtools.choices import mappings
from devtools.examples import integration_document
from tests.unit.examples import integration


@pytest.mark.parametrize("customer", CUSTOMERS, ids=lambda one: one.id)
def test_the_integration_of_a_customer_is_valid(customer: Customer) -> None:
    endpoint = f"https://dcs.adobedc.net/collection/{customer.id}"
    properties = integration_document()["properties"] | {"dataflow_endpoint": endpoint}
    changes = customer.changes | {"mappings": mappings(), "properties": properties}
    assert integration(id=customer.id, **changes).id == customer.id
