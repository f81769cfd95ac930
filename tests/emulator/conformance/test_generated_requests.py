"""Requests that nobody wrote: schemathesis makes them up from the platform's document, for every operation.

Whatever comes, the emulator answers with a status below 500 (501 where it says what it lacks) and in the shape the
document gives that answer.
"""

from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings

from tests.emulator.conformance.document import DOCUMENT, faults, operation
from tests.emulator.conformance.platform import NOWHERE, TOKEN, Platform

Case = schemathesis.Case[Any]
schema = schemathesis.openapi.from_dict(DOCUMENT)
schema.config.phases.coverage.enabled = False


@schema.parametrize()
@settings(max_examples=5, derandomize=True, suppress_health_check=list(HealthCheck))
def test_a_made_up_request_is_answered_in_the_documented_shape(case: Case, platform: Platform) -> None:
    answered_as_documented(case, platform)


def answered_as_documented(case: Case, platform: Platform) -> None:
    aimed(case, platform)
    answer = case.call(base_url=platform.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)
    assert answer.status_code < 500 or answer.status_code == 501, answer.text
    found = operation(case.method, case.operation.path)
    if found and case.method != "HEAD":  # a method the path does not have may well be refused
        content_type = answer.headers.get("content-type", [""])[0]
        assert faults(found, answer.status_code, content_type, answer.content) == []


def aimed(case: Case, platform: Platform) -> None:
    """The request at something that exists, unless it would delete it; never one that waits or calls out."""
    if case.method != "DELETE":
        known = {name: platform.ids[name] for name in case.path_parameters or {} if name in platform.ids}
        case.path_parameters = {**(case.path_parameters or {}), **known}
    for name in ("waitForFinish", "webhooks", "stream"):
        if case.query and name in case.query:
            del case.query[name]
    if isinstance(case.body, dict) and "requestUrl" in case.body:
        case.body["requestUrl"] = NOWHERE
