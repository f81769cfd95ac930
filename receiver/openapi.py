"""Our HTTP API as an OpenAPI 3.1 document, made of the words and limits that the code itself goes by.

Spec: https://spec.openapis.org/oas/v3.1.1
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from config.contracts.kinds import Kind
from config.shapes import NAME_PATTERN
from receiver.answers import DRAINING_RETRY_AFTER, QUEUE_RETRY_AFTER
from receiver.journal import GOOD
from receiver.limits import BUSY_RETRY_AFTER, MOST_AT_ONCE, MOST_BYTES, MOST_BYTES_AT_ONCE, MOST_HEAD_BYTES
from receiver.protocol import MOST_IN_A_ROW

Json = dict[str, Any]

#: Of the API; a word or an address more is a minor one.
VERSION = "1.0.0"

#: Every kind that this process says, and when.
MEANINGS: Mapping[Kind, str] = {
    Kind.REQUEST_INVALID: "not HTTP/1.1, or the body is not JSON in UTF-8",
    Kind.TOKEN_MISSING: "no secret came along",
    Kind.TOKEN_INVALID: "the secret is not one of the source's active ones",
    Kind.SIGNATURE_MISSING: "the source takes signed webhooks, and something that belongs to a signature is not there",
    Kind.SIGNATURE_INVALID: "the signature fits none of the source's active secrets, cannot be read, or is too old",
    Kind.ADDRESS_FORBIDDEN: "the source takes webhooks from certain addresses, and this is none of them",
    Kind.SOURCE_NOT_FOUND: "no source of this name is configured",
    Kind.PATH_NOT_FOUND: "nothing is at this path; no redirects are made",
    Kind.METHOD_NOT_ALLOWED: "see `Allow`",
    Kind.REQUEST_TIMEOUT: "headers or body were not complete within `RUNRELAY_RECEIVE_TIMEOUT` seconds; send it again",
    Kind.PAYLOAD_TOO_LARGE: f"the body has more than {MOST_BYTES} bytes, declared or in chunks",
    Kind.CONTENT_TYPE_UNSUPPORTED: "not `application/json` or `application/…+json` in UTF-8, or with a "
    "`Content-Encoding`",
    Kind.EVENT_INVALID: "JSON, but not an object; no run id where one should be, of characters that the source takes; "
    "nothing says what happened; or the shape of an older API, which is not read",
    Kind.RATE_LIMITED: f"{MOST_AT_ONCE} webhooks, or {MOST_BYTES_AT_ONCE} bytes of their bodies, are under way, or "
    f"{MOST_IN_A_ROW} requests wait on this connection; send it again",
    Kind.HEADERS_TOO_LARGE: f"request line and headers have more than {MOST_HEAD_BYTES} bytes",
    Kind.INTERNAL_ERROR: "a bug of ours; the message has the id under which the log tells more; send it again",
    Kind.QUEUE_UNAVAILABLE: "Redis did not confirm the event, or must not be trusted with one; send it again",
    Kind.DRAINING: "the process is stopping; send it again",
}

#: What a connection, or any address, may say.
ANYWHERE = (
    Kind.REQUEST_INVALID,
    Kind.METHOD_NOT_ALLOWED,
    Kind.REQUEST_TIMEOUT,
    Kind.RATE_LIMITED,
    Kind.HEADERS_TOO_LARGE,
    Kind.INTERNAL_ERROR,
    Kind.DRAINING,
)

GUIDE = """\
Takes webhooks of platforms and commits them to the queue. Every error of every address is `{"kind", "message"}`: match
on `kind`; words are added, never renamed. Messages never repeat what was sent. An error before the end of a body closes
the connection."""


async def described(_request: Request) -> Response:
    return Response(BODY, media_type="application/json")


def document() -> Json:
    return {
        "openapi": "3.1.0",
        "info": {"title": "Runrelay receiver", "version": VERSION, "description": GUIDE, "license": LICENSE},
        "servers": [{"url": "/"}],
        "paths": {
            "/webhooks/{source}": {"parameters": [SOURCE], "post": _webhook("receive", [{"bearer": []}, {"bare": []}])},
            "/webhooks/{source}/{token}": {"parameters": [SOURCE, TOKEN], "post": _webhook("receiveByPath", [])},
            "/healthz": {"get": _health("isAlive", "The process answers. It does not ask Redis.", ANYWHERE)},
            "/readyz": {"get": _health("isReady", "It may take webhooks.", [*ANYWHERE, Kind.QUEUE_UNAVAILABLE])},
            "/metrics": {"get": _look("metrics", "Figures for Prometheus.", {"text/plain": {"schema": TEXT}})},
            "/openapi.json": {"get": _look("describe", "This document.", _json({"type": "object"}))},
        },
        "components": {"schemas": SCHEMAS, "securitySchemes": SECURITY},
    }


LICENSE = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
TEXT = {"type": "string"}

SOURCE = {
    "name": "source",
    "in": "path",
    "required": True,
    "description": "A name under `sources:` in runrelay.yaml.",
    "schema": {"type": "string", "pattern": f"^{NAME_PATTERN}$"},
}

TOKEN = {
    "name": "token",
    "in": "path",
    "required": True,
    "description": "One of the source's secrets, for platforms that cannot send a header. It wins over the header.",
    "schema": {"type": "string", "format": "password", "minLength": 1},
}

SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "One of `webhook.secrets` of the source."},
    "bare": {"type": "apiKey", "in": "header", "name": "Authorization", "description": "The same, without `Bearer`."},
}

SCHEMAS: Json = {
    "Taken": {
        "type": "object",
        "description": "`accepted`: committed to Redis. `duplicate`: it was accepted before. `ignored`: genuine, but "
        "of a kind that never ends a run. `test`: the platform's test button. `id`: of the event, if one is kept.",
        "properties": {"status": {"enum": sorted(GOOD)}, "id": {"type": ["string", "null"]}},
        "required": ["status", "id"],
        "additionalProperties": False,
    },
    "Event": {
        "type": "object",
        "description": "The platform's webhook. Nothing in it is believed but the id of the run, unless it "
        "is signed and the platform has no API to ask.",
        "examples": [{"eventType": "ACTOR.RUN.SUCCEEDED", "resource": {"id": "HG7ML7M8z78YcAPEB"}}],
    },
    "Fine": {
        "type": "object",
        "properties": {
            "status": {"const": "ok"},
            "warnings": {"type": "array", "items": TEXT, "description": "Of `/readyz`: what somebody should mend."},
        },
        "required": ["status"],
        "additionalProperties": False,
    },
    "Error": {
        "type": "object",
        "properties": {"kind": {"enum": [kind.value for kind in MEANINGS]}, "message": TEXT},
        "required": ["kind", "message"],
        "additionalProperties": False,
    },
}


def _webhook(name: str, security: Sequence[Json]) -> Json:
    return {
        "operationId": name,
        "summary": "A platform announces that a run has finished.",
        "description": f"JSON in UTF-8, not compressed, at most {MOST_BYTES} bytes.",
        "security": list(security),
        "requestBody": {"required": True, "content": _json(_schema("Event"))},
        "responses": {
            "200": {"description": "The only code of success.", "content": _json(_schema("Taken"))},
            **_refusals(MEANINGS, allowed="POST"),
        },
    }


def _health(name: str, summary: str, kinds: Iterable[Kind]) -> Json:
    return _look(name, summary, _json(_schema("Fine")), kinds)


def _look(name: str, summary: str, content: Json, kinds: Iterable[Kind] = ANYWHERE) -> Json:
    return {
        "operationId": name,
        "summary": summary,
        "responses": {
            "200": {"description": "Yes, here it is.", "content": content},
            **_refusals(kinds, allowed="GET, HEAD"),
        },
    }


def _refusals(kinds: Iterable[Kind], *, allowed: str) -> Json:
    """The answers of these kinds, by status."""
    ordered = sorted(kinds, key=lambda kind: kind.status)
    groups = groupby(ordered, key=lambda kind: kind.status)
    return {str(status): _refusal(status, list(group), allowed) for status, group in groups}


def _refusal(status: int, kinds: Sequence[Kind], allowed: str) -> Json:
    said = {"properties": {"kind": {"enum": [kind.value for kind in kinds]}}}
    return {
        "description": "\n".join(f"- `{kind}`: {MEANINGS[kind]}" for kind in kinds),
        "headers": _headers(status, allowed),
        "content": _json({"allOf": [_schema("Error"), said]}),
    }


def _headers(status: int, allowed: str) -> Json:
    retry = {"description": "Seconds.", "schema": {"type": "integer", "enum": _pauses(status)}}
    headers: dict[int, Json] = {
        401: {"WWW-Authenticate": {"required": True, "schema": {"enum": ["Bearer", "Signature"]}}},
        405: {"Allow": {"required": True, "schema": {"const": allowed}}},
        429: {"Retry-After": {**retry, "description": "Seconds; not when it is the connection that is full."}},
        503: {"Retry-After": {**retry, "required": True}},
    }
    return headers.get(status, {})


def _pauses(status: int) -> list[int]:
    return [BUSY_RETRY_AFTER] if status == Kind.RATE_LIMITED.status else [DRAINING_RETRY_AFTER, QUEUE_RETRY_AFTER]


def _schema(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


BODY = msgspec.json.encode(document())
