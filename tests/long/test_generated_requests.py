"""Requests that nobody wrote, once more: many of them, and every boundary the document has."""

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from tests.emulator.conformance.conftest import platform
from tests.emulator.conformance.document import DOCUMENT
from tests.emulator.conformance.platform import Platform
from tests.emulator.conformance.test_generated_requests import Case, answered_as_documented

__all__ = ["platform"]

schema = schemathesis.openapi.from_dict(DOCUMENT)


@pytest.mark.timeout(300)
@schema.parametrize()
@settings(max_examples=50, suppress_health_check=list(HealthCheck))
def test_a_made_up_request_is_answered_in_the_documented_shape(case: Case, platform: Platform) -> None:
    answered_as_documented(case, platform)
