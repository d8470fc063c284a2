"""The whole application against its own description at /openapi.json: whatever is sent, each answer is as described."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS, load_all_checks
from serving_fixtures import ALICE, Running
from serving_replicate_fixtures import service_with_a_gate

MANY = 10**6

load_all_checks()

@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    limits = {"requests_per_minute": MANY, "creations_per_minute": MANY, "most_waiting": MANY}
    with service_with_a_gate(tmp_path_factory.mktemp("house"), **limits) as found:
        yield found


@pytest.fixture(scope="module")
def api(house: Running) -> Any:
    return schemathesis.openapi.from_url(f"{house.url}/openapi.json")


schema = schemathesis.pytest.from_fixture("api")


@schema.parametrize()
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
def test_x(case: Any) -> None:
    case.call_and_validate(headers={"Authorization": f"Bearer {ALICE}"})
