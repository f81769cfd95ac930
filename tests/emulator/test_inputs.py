"""Inputs against an Actor's input schema: what is filled in, and which words tell what is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from emulator.errors import ApiError
from emulator.inputs import checked_input
from tests.emulator.conftest import StartEmulator, WriteActor

SCHEMA = {
    "title": "Shop",
    "type": "object",
    "schemaVersion": 1,
    "properties": {
        "urls": {
            "type": "array",
            "minItems": 1,
            "maxItems": 2,
            "uniqueItems": True,
            "items": {
                "type": "object",
                "properties": {"url": {"type": "string", "pattern": "^https?://"}},
                "required": ["url"],
            },
            "prefill": [{"url": "http://prefilled"}],
        },
        "password": {"type": "string", "isSecret": True, "minLength": 4, "maxLength": 8},
        "mode": {"type": "string", "enum": ["a", "b"], "nullable": True},
        "depth": {"type": "integer", "default": 3, "exclusiveMaximum": 9},
        "extra": {"type": "object", "minProperties": 1, "maxProperties": 2, "nullable": True},
    },
    "required": ["urls"],
}
ONE = [{"url": "http://a"}]


def kept(given: Any, content_type: str = "application/json") -> Any:
    return json.loads(checked_input(json.dumps(given).encode(), content_type, SCHEMA))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "input.urls is required"),
        ({"urls": []}, "input.urls must NOT have fewer than 1 items"),
        ({"urls": [{"url": f"http://{n}"} for n in range(3)]}, "input.urls must NOT have more than 2 items"),
        ({"urls": ONE * 2}, "input.urls must NOT have duplicate items"),
        ({"urls": [{}]}, "input.urls.0.url is required"),
        ({"urls": ["http://a"]}, "input.urls.0 must be object"),
        ({"urls": [{"url": "ftp://a"}]}, 'input.urls.0.url must match pattern "^https?://"'),
        ({"urls": ONE, "password": "abc"}, "input.password must NOT have fewer than 4 characters"),
        ({"urls": ONE, "password": "abcdefghi"}, "input.password must NOT have more than 8 characters"),
        ({"urls": ONE, "mode": "c"}, "input.mode must be equal to one of the allowed values"),
        ({"urls": ONE, "mode": 1, "depth": "x"}, "input.depth must be integer"),
        ({"urls": ONE, "depth": 9}, "input.depth must be < 9"),
        ({"urls": ONE, "depth": None}, "input.depth must be integer"),
        ({"urls": ONE, "extra": {}}, "input.extra must NOT have fewer than 1 properties"),
        ({"urls": ONE, "extra": {"a": 1, "b": 2, "c": 3}}, "input.extra must NOT have more than 2 properties"),
        ({"urls": ONE, "extra": 1}, "input.extra must be object,null"),
    ],
)
def test_the_first_thing_that_is_wrong_is_told_by_its_field(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ApiError) as refused:
        kept(given)

    assert (refused.value.status, refused.value.type) == (400, "invalid-input")
    assert refused.value.message == f"Input is not valid: Field {said}"


def test_defaults_are_filled_in_and_prefills_are_not() -> None:
    assert kept({"urls": ONE, "password": "secret"}) == {"urls": ONE, "password": "secret", "depth": 3}


def test_null_is_fine_where_the_schema_says_nullable() -> None:
    given = {"urls": ONE, "mode": None, "extra": None, "depth": 1}

    assert kept(given) == given


def test_an_input_that_needs_nothing_is_kept_byte_for_byte() -> None:
    body = b'{ "urls": [{"url": "http://a"}],\n "depth": 1, "n": 12345678901234567890123, "x": 1.50 }'

    assert checked_input(body, "application/json; charset=utf-8", SCHEMA) is body


@pytest.mark.parametrize(
    ("content_type", "schema"),
    [("text/plain", SCHEMA), ("application/octet-stream", SCHEMA), ("application/json", None)],
)
def test_what_is_not_json_or_has_no_schema_is_kept_as_it_is(content_type: str, schema: Any) -> None:
    assert checked_input(b"{ not", content_type, schema) == b"{ not"


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"5", b"{", b"\xff"])
def test_json_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(ApiError, match="must be an object"):
        checked_input(body, "application/json", SCHEMA)


@pytest.mark.parametrize("field", [{"pattern": "(?<n>"}, {"$ref": "#/nowhere"}])
def test_what_cannot_be_used_is_told_as_the_schema_s_fault(field: Any) -> None:
    schema = {"properties": {"a": field}}

    with pytest.raises(ApiError, match="input schema cannot be used here"):
        checked_input(b'{"a": "x"}', "application/json", schema)


def test_no_schema_is_fetched_from_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.json").write_text("{}")
    schema = {"properties": {"a": {"$ref": (tmp_path / "elsewhere.json").as_uri()}}}

    with pytest.raises(ApiError, match="input schema cannot be used here"):
        checked_input(b'{"a": "x"}', "application/json", schema)


async def test_defaults_are_filled_in_however_the_run_was_started(
    start_emulator: StartEmulator, write_actor: WriteActor
) -> None:
    write_actor("deep", input={"properties": {"depth": {"type": "integer", "default": 3}}})
    emulator = await start_emulator()
    task = (await emulator.post("/v2/actor-tasks", {"actId": "local~deep", "name": "dig"})).data
    starts = ["/v2/acts/local~deep/runs", "/v2/actors/local~deep/runs", f"/v2/actor-tasks/{task['id']}/runs"]

    runs = [(await emulator.post(path)).data for path in starts]

    for run in runs:
        record = await emulator.get(f"/v2/key-value-stores/{run['defaultKeyValueStoreId']}/records/INPUT")
        assert (record.json, record.headers["Content-Type"]) == ({"depth": 3}, "application/json; charset=utf-8")
