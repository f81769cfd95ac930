"""Requests that nobody wrote, many of them: made up from our OpenAPI document, with every boundary it has."""

from collections.abc import Callable

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from receiver.openapi import document
from tests.receiver.documented import Case, answered_as_documented, receiver

__all__ = ["receiver"]

schema = schemathesis.openapi.from_dict(document())


@pytest.mark.timeout(600)
@schema.parametrize()
@settings(max_examples=400, suppress_health_check=list(HealthCheck))
def test_a_made_up_request_is_answered_as_documented(
    case: Case, receiver: str, record_property: Callable[[str, object], None]
) -> None:
    answered_as_documented(case, receiver)
    record_property("examples", 1)
