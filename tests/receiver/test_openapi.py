"""Our OpenAPI document: valid, complete, and true."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from jsonschema import Draft202012Validator
from starlette.applications import Starlette
from starlette.routing import Route

from config.contracts.kinds import Kind
from receiver.endpoint import PREFIX
from receiver.openapi import MEANINGS, document
from tests.receiver.documented import Case, answered_as_documented, receiver, schema
from tests.receiver.wire import running

__all__ = ["receiver"]

STATUS = {kind.value: kind.status for kind in Kind}
OPERATIONS = {
    (path, method): operation
    for path, item in document()["paths"].items()
    for method, operation in item.items()
    if method != "parameters"
}


def refusals(operation: dict[str, Any]) -> dict[int, set[str]]:
    """Status → kinds."""
    return {
        int(status): set(answer["content"]["application/json"]["schema"]["allOf"][1]["properties"]["kind"]["enum"])
        for status, answer in operation["responses"].items()
        if status != "200"
    }


def test_it_is_openapi() -> None:
    schema.validate()
    for body in document()["components"]["schemas"].values():
        Draft202012Validator.check_schema(body)


def test_it_has_every_address_and_no_other(make_app: Callable[..., Starlette]) -> None:
    ours = {route.path for route in make_app().routes if isinstance(route, Route)}
    webhooks = {f"{PREFIX}{{source}}", f"{PREFIX}{{source}}/{{token}}"}
    assert {path for path, _ in OPERATIONS} == ours | webhooks


def test_every_word_of_ours_is_told() -> None:
    assert set(MEANINGS) == set(Kind)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda one: str(one["operationId"]))
def test_every_word_stands_at_its_status(operation: dict[str, Any]) -> None:
    for status, kinds in refusals(operation).items():
        assert {STATUS[kind] for kind in kinds} == {status}


def test_a_webhook_may_be_answered_with_any_of_them() -> None:
    told = refusals(OPERATIONS["/webhooks/{source}", "post"])
    assert set().union(*told.values()) == {kind.value for kind in MEANINGS}


async def test_it_is_served(make_app: Callable[..., Starlette]) -> None:
    async with running(make_app()) as wire:
        reply = await wire.send("GET", "/openapi.json")
        other = await wire.send("POST", "/openapi.json")
    assert (reply.status, reply.headers["content-type"], reply.json) == (200, "application/json", document())
    assert (other.status, other.kind, other.headers["allow"]) == (405, "method_not_allowed", "GET, HEAD")


@schema.parametrize()
@settings(max_examples=25, derandomize=True, suppress_health_check=list(HealthCheck))
def test_a_made_up_request_is_answered_as_documented(case: Case, receiver: str) -> None:
    answered_as_documented(case, receiver)
