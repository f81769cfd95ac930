"""The platform's OpenAPI document, shapes only (`scripts/reduce_openapi.py`), and answers held against it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

DOCUMENT: dict[str, Any] = json.loads((Path(__file__).parent / "openapi.json").read_text())
_BASE = "urn:apify"
_REGISTRY: Registry[Any] = Registry().with_resource(_BASE, DRAFT202012.create_resource(DOCUMENT))
#: Types that the reference pages show in their examples and its own enumeration of types lacks.
_SHOWN_ONLY = {"token-not-valid", "permission-denied"}
#: Bodies that are somebody's own: the document calls every record an object, and records may be anything. It also calls
#: the items of a task's run an object, where it has an array for those of an Actor's.
_FOREIGN = re.compile(r"/records/\{recordKey\}\Z|/run-sync\Z|/actor-tasks/\{actorTaskId\}/run-sync-get-dataset-items\Z")
_METHODS = ("get", "head", "post", "put", "delete")


@dataclass(frozen=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    pattern: re.Pattern[str]

    @property
    def name(self) -> str:
        return f"{self.method.upper()} {self.path}"

    @property
    def names(self) -> list[str]:
        """Its path parameters."""
        return re.findall(r"\{(\w+)\}", self.path)

    @property
    def responses(self) -> Mapping[str, Any]:
        return _resolved(DOCUMENT["paths"][self.path][self.method]["responses"])

    def response(self, status: int) -> dict[str, Any] | None:
        """What the document says of an answer; None if it does not know the status."""
        found = self.responses.get(str(status))
        return None if found is None else _resolved(found)


def _resolved(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        _, kind, name = node["$ref"].removeprefix("#/").split("/")
        node = DOCUMENT["components"][kind][name]
    return node


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)) + r"\Z")


OPERATIONS = [
    Operation(method, path, _pattern(path))
    for path, item in DOCUMENT["paths"].items()
    for method in _METHODS
    if method in item
]


def operation(method: str, path: str) -> Operation | None:
    """Whose request it is: the operation with the fewest placeholders that fits. `path` is as it came, still quoted."""
    path = path.replace("/v2/acts/", "/v2/actors/") if path.startswith("/v2/acts/") else path
    path = "/v2/actors" if path == "/v2/acts" else path
    fitting = [one for one in OPERATIONS if one.method == method.lower() and one.pattern.match(path)]
    return min(fitting, key=lambda one: one.path.count("{"), default=None)


@cache
def _validator(reference: str) -> Validator:
    return Draft202012Validator({"$ref": f"{_BASE}{reference}"}, registry=_REGISTRY)


def _pointer(*steps: str) -> str:
    return "#/" + "/".join(step.replace("~", "~0").replace("/", "~1") for step in steps)


def faults(found: Operation, status: int, content_type: str, body: bytes) -> list[str]:
    """Everything an answer has that the document does not allow."""
    described = found.response(status)
    if described is None:
        return [] if status >= 400 else [f"{found.name} answers {status}, which is not documented"]
    is_json = content_type.partition(";")[0].strip() == "application/json"
    if not is_json or "application/json" not in described.get("content", {}) or _is_foreign(found, status):
        return []
    at = DOCUMENT["paths"][found.path][found.method]["responses"][str(status)]
    root = at["$ref"] if "$ref" in at else _pointer("paths", found.path, found.method, "responses", str(status))
    reference = f"{root}/content/application~1json/schema"
    errors = _validator(reference).iter_errors(json.loads(body))
    return [f"{found.name} {status}: {error.json_path}: {error.message[:200]}" for error in errors if _counts(error)]


def _is_foreign(found: Operation, status: int) -> bool:
    return status < 300 and found.method in {"get", "post"} and bool(_FOREIGN.search(found.path))


def _counts(error: ValidationError) -> bool:
    return not (error.json_path == "$.error.type" and error.instance in _SHOWN_ONLY)
