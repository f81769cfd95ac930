"""Requests that nobody wrote, made up from our own OpenAPI document, and what every answer must be."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import schemathesis
from jsonschema import validate
from schemathesis.specs.openapi import checks

from config.contracts.kinds import Kind
from receiver.openapi import document
from tests.receiver.background import SECRET, in_background

Case = schemathesis.Case[Any]
DOCUMENT = document()
schema = schemathesis.openapi.from_dict(DOCUMENT)

STATUS = {kind.value: kind.status for kind in Kind}
CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


@pytest.fixture(scope="module")
def receiver(valkey_server: str) -> Iterator[str]:
    with in_background(valkey_server) as url:
        yield url


def answered_as_documented(case: Case, url: str) -> int:
    """Returns the status."""
    aim(case)
    answer = case.call(base_url=url, timeout=30)
    assert answer.status_code < 500 or answer.status_code == 503, answer.text
    case.validate_response(answer, checks=CHECKS)
    check_headers(case.operation.path, answer.status_code, {name: said for name, (said, *_) in answer.headers.items()})
    if answer.status_code >= 400 and case.method != "HEAD":
        assert STATUS[answer.json()["kind"]] == answer.status_code
    return answer.status_code


def check_headers(path: str, status: int, said: Mapping[str, str]) -> None:
    """Every header the document has for this status, also for methods it does not have."""
    item = DOCUMENT["paths"][path]
    (operation,) = (item[method] for method in item if method != "parameters")
    for name, header in operation["responses"][str(status)].get("headers", {}).items():
        assert name.lower() in said or not header.get("required"), name
        if text := said.get(name.lower()):
            validate(int(text) if header["schema"].get("type") == "integer" else text, header["schema"])


def aim(case: Case) -> None:
    """Half of what is made up reaches the source that there is, and most of that with its secret."""
    known = case.path_parameters or {}
    if len(str(known.get("source", ""))) % 2:
        known["source"] = "apify"
    if len(str(known.get("token", ""))) % 3:
        known["token"] = SECRET
    if case.method == "POST" and len(str(case.body)) % 4:
        case.headers["Authorization"] = f"Bearer {SECRET}"
