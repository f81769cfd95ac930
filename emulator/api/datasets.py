"""Datasets and their items (Apify API, "Get dataset items", "Store items")."""

import asyncio
from collections.abc import Iterator
from itertools import chain
from typing import Annotated, Any

import msgspec
from starlette.responses import Response, StreamingResponse

from emulator.api import storages
from emulator.api.call import Call, Endpoint, Find, data, json_answer
from emulator.bodies import json_body, json_object, whole_body
from emulator.documents import Document
from emulator.errors import invalid_input
from emulator.items.checks import check_schema, fields_schema, invalid_items
from emulator.items.compression import accepted, compressed
from emulator.items.generated import MAX_ROWS
from emulator.items.reading import FORMATS, Reading
from emulator.items.statistics import field_statistics
from emulator.items.workbook import require_room
from emulator.items.writing import Records, Source, written
from emulator.pushing import push_rows
from emulator.rows import split_rows

_WHOLE_ROWS = 4 * 1024 * 1024  # so many bytes of untouched rows are read and sent in one go
_WHOLE_RECORDS = 128 * 1024  # the same for rows that cost thought; longer answers are made in threads
_WORTH_COMPRESSING = 1024


def standalone() -> list[Endpoint]:
    """`/v2/datasets` and below, and the emulator's own way to make a large one."""
    root = "/v2/datasets/{storage}"
    collection = storages.collection("dataset", present)
    return [
        Endpoint(collection.path, {**collection.methods, "POST": create}),
        Endpoint("/emulator/datasets", {"POST": generate}),
        *endpoints(root, storages.by_id("dataset"), public=True),
    ]


def endpoints(root: str, find: Find, *, public: bool) -> list[Endpoint]:
    """One dataset and its items, wherever it hangs."""

    async def items(call: Call) -> Response:
        return await list_items(call, find(call))

    async def push(call: Call) -> Response:
        fields = fields_schema(find(call).get("schema"))
        rows = split_rows(await whole_body(call.request, call.platform.settings.max_request_bytes))
        if fields and (invalid := await asyncio.to_thread(invalid_items, rows, fields)):
            return _refusal(invalid)
        return _stored(call, find(call), rows)  # found again: it may have changed while the body came in

    async def statistics(call: Call) -> Response:
        return data({"fieldStatistics": await _field_statistics(call, find(call))})

    return [
        storages.one("dataset", root, find, present, public=public),
        Endpoint(f"{root}/items", {"GET": items, "POST": push}, public),
        Endpoint(f"{root}/statistics", {"GET": statistics}, public),
    ]


async def create(call: Call) -> Response:
    """`POST /v2/datasets`: a new dataset, or the one of this name; the platform's clients may send `{"schema"}`."""
    body = await json_object(call.request, call.platform.settings.max_request_bytes)
    schema = body.get("schema") or {}
    if not isinstance(schema, dict):
        raise invalid_input("Field schema must be an object.")
    check_schema(schema)
    document, is_new = call.platform.storages.get_or_create("dataset", call.query.text("name"), call.account)
    if is_new and schema:
        document["schema"] = schema
        call.platform.storages.touch("dataset", document)
    return data(present(call, document), 201 if is_new else 200)


class _GeneratedDataset(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /emulator/datasets`."""

    rows: Annotated[int, msgspec.Meta(ge=1, le=MAX_ROWS)]
    name: str | None = None
    item: dict[str, Any] | None = None


async def generate(call: Call) -> Response:
    """`POST /emulator/datasets` with `{rows, name?, item?}`: a dataset whose rows are computed when they are read."""
    body = await json_body(call.request, call.platform.settings.max_request_bytes, _GeneratedDataset)
    document, is_new = call.platform.storages.get_or_create("dataset", body.name, call.account)
    call.platform.storages.datasets.generate(document["id"], body.rows, body.item)
    return data(present(call, document), 201 if is_new else 200)


def present(call: Call, document: Document) -> Document:
    """A dataset as the API shows it; its counts lag as the rows do."""
    id_, datasets = document["id"], call.platform.storages.datasets
    count, made = datasets.visible(id_), datasets.generated(id_)
    clean = (count if made.is_clean else 0) if made else document["cleanItemCount"]
    view = {"schema": None, **storages.described("dataset", call, document)}
    return {
        **view,
        "itemCount": count,
        "cleanItemCount": min(count, clean),
        "fields": made.fields if made else document.get("fields", []),
        "stats": {"readCount": datasets.reads[id_], "writeCount": count, "storageBytes": datasets.size(id_)},
        "itemsPublicUrl": storages.public_url(call, view, document, "items"),
    }


async def list_items(call: Call, document: Document) -> Response:
    """A window of rows, what the query makes of them, and headers that tell of the window only."""
    datasets, reading = call.platform.storages.datasets, Reading.of(call.query, document.get("schema"))
    total = datasets.visible(document["id"])
    window = datasets.window(document["id"], total, reading.offset, reading.limit, desc=reading.desc)
    if reading.format == "xlsx":
        require_room(len(window))
    headers = {
        "X-Apify-Pagination-Offset": str(reading.offset),
        "X-Apify-Pagination-Limit": str(reading.limit),
        "X-Apify-Pagination-Count": str(len(window)),
        "X-Apify-Pagination-Total": str(total),
        "X-Apify-Pagination-Desc": "true" if reading.desc else "false",
        "Content-Type": FORMATS[reading.format],
        "Vary": "Accept-Encoding",
    }
    if call.query.flag("attachment"):
        headers["Content-Disposition"] = "attachment"
    if call.request.method == "HEAD":
        return _headers_only(headers)
    datasets.reads[document["id"]] += 1
    url = f"{call.platform.settings.base_url}/v2/datasets/{document['id']}"
    source = Source(document["id"], document["name"] or document["id"], url)
    records = Records(window, reading)
    pieces = written(records, source)
    if reading.format == "xlsx":  # only when the whole sheet is written is it known that there is one
        pieces = chain([await asyncio.to_thread(next, pieces)], pieces)
    return _body(call, records, pieces, headers)


def _headers_only(headers: dict[str, str]) -> Response:
    response = Response(headers=headers)
    del response.headers["content-length"]  # it would tell of this empty body
    return response


def _body(call: Call, records: Records, pieces: Iterator[bytes], headers: dict[str, str]) -> Response:
    encoding = accepted(call.request.headers.get("accept-encoding", ""))
    is_plain = records.are_rows and records.reading.format in {"json", "jsonl"} and not encoding
    if records.window.size <= (_WHOLE_ROWS if is_plain else _WHOLE_RECORDS):
        body = b"".join(pieces)
        pieces = iter((body,))
        if not encoding or len(body) < _WORTH_COMPRESSING:
            return Response(body, headers=headers)
    if encoding:
        headers["Content-Encoding"], pieces = encoding, compressed(pieces, encoding)
    return StreamingResponse(pieces, headers=headers)


def _refusal(invalid: list[Document]) -> Response:
    error = {"type": "schema-validation-error", "message": "Schema validation failed"}
    return json_answer({"error": error | {"data": {"invalidItems": invalid}}}, 400)


def _stored(call: Call, document: Document, rows: list[bytes]) -> Response:
    push_rows(call.platform.storages, document, rows)
    call.platform.runs.charge_items(document, len(rows))
    location = f"{call.platform.settings.base_url}/v2/datasets/{document['id']}/items"
    return json_answer({}, 201, {"Location": location})


async def _field_statistics(call: Call, document: Document) -> Document | None:
    """Statistics of the fields that the dataset's schema names; None without such a schema."""
    fields, datasets = fields_schema(document.get("schema")), call.platform.storages.datasets
    if fields is None:
        return None
    total = datasets.visible(document["id"])
    rows: Iterator[bytes] = datasets.window(document["id"], total, 0, total).rows()
    return await asyncio.to_thread(field_statistics, rows, list(fields.get("properties") or {}))
