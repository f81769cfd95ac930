"""Key-value stores, their keys and records (Apify API, "Key-value stores")."""

from collections.abc import Iterator
from urllib.parse import quote

from starlette.responses import FileResponse, Response, StreamingResponse

from emulator.api import storages
from emulator.api.call import Call, Endpoint, Find, data, json_answer
from emulator.archives import zipped
from emulator.bodies import Body, accepts
from emulator.documents import Document, Filter
from emulator.errors import ApiError, not_found
from emulator.records import Record, Records, check_key
from emulator.signatures import record_signature

_MAX_KEYS = 1000
# Apify says that it may alter HTML for safety and not how; this makes a reader notice that forgot to ask for it raw.
_HTML_NOTE = b"<!-- Apify may alter HTML unless it is read with attachment=true. -->\n"


def standalone() -> list[Endpoint]:
    """`/v2/key-value-stores` and below."""
    root = "/v2/key-value-stores/{storage}"
    return [storages.collection("store", present), *endpoints(root, storages.by_id("store"), public=True)]


def endpoints(root: str, find: Find, *, public: bool) -> list[Endpoint]:
    """One store with its keys and records, wherever it hangs."""

    async def keys(call: Call) -> Response:
        return list_keys(call, find(call))

    async def archive(call: Call) -> Response:
        return get_records(call, find(call))

    async def read(call: Call) -> Response:
        return get_record(call, find(call))

    async def write(call: Call) -> Response:
        return await put_record(call, find(call))

    async def delete(call: Call) -> Response:
        call.platform.storages.records.delete(find(call)["id"], check_key(call.path("key")))
        return Response(status_code=204)

    record = {"GET": read, "PUT": write, "POST": write, "DELETE": delete}
    return [
        storages.one("store", root, find, present, public=public),
        Endpoint(f"{root}/keys", {"GET": keys}, public),
        Endpoint(f"{root}/records", {"GET": archive}, public),
        Endpoint(f"{root}/records/{{key:path}}", record, public),
    ]


def present(call: Call, document: Document) -> Document:
    """A store as the API shows it."""
    view = storages.described("store", call, document)
    urls = {
        "keysPublicUrl": storages.public_url(call, view, document, "keys"),
        "recordsPublicUrl": f"{view['consoleUrl']}/records",
    }
    return {**view, **urls, "stats": {}}


def list_keys(call: Call, document: Document) -> Response:
    """`GET …/keys`, in the order of the keys' bytes."""
    limit = min(call.query.integer("limit") or _MAX_KEYS, _MAX_KEYS)
    start = call.query.text("exclusiveStartKey")
    wanted = _wanted(call, document)
    found = call.platform.storages.records.after(document["id"], start or "", wanted, limit + 1)
    records, is_truncated = found[:limit], len(found) > limit
    return data(
        {
            "items": [_key(call, document, record) for record in records],
            "count": len(records),
            "limit": limit,
            "exclusiveStartKey": start,
            "isTruncated": is_truncated,
            "nextExclusiveStartKey": records[-1].key if is_truncated else None,
        }
    )


def get_records(call: Call, document: Document) -> Response:
    """`GET …/records`: a ZIP of all of them."""
    records = _every(call.platform.storages.records, document["id"], _wanted(call, document))
    disposition = {"Content-Disposition": f'attachment; filename="{document["id"]}.zip"'}
    return StreamingResponse(zipped(records), headers=disposition, media_type="application/zip")


def get_record(call: Call, document: Document) -> Response:
    """The record's bytes with the content type they were stored with."""
    record = call.platform.storages.records.get(document["id"], check_key(call.path("key")))
    if record is None:
        raise not_found("Record")
    return record_answer(call, record, is_attachment=bool(call.query.flag("attachment")))


def record_answer(call: Call, record: Record, *, is_attachment: bool) -> Response:
    """Compressed as stored if the caller can take it, else decompressed; HTML is marked unless it is an attachment."""
    headers = {"content-type": record.content_type}
    if is_attachment:
        headers["content-disposition"] = f"attachment; filename*=utf-8''{quote(record.key, safe='')}"
    elif record.content_type.partition(";")[0].strip().lower() == "text/html":
        size = {"content-length": str(len(_HTML_NOTE) + record.size)}
        return _bytes(call, _noted(record), headers | size)
    if not record.encoding:
        return FileResponse(record.path, headers=headers)
    headers["vary"] = "Accept-Encoding"
    if accepts(call.request.headers.get("accept-encoding", ""), record.encoding):
        return FileResponse(record.path, headers=headers | {"content-encoding": record.encoding})
    return _bytes(call, record.pieces(), headers | {"content-length": str(record.size)})


async def put_record(call: Call, document: Document) -> Response:
    """Store the body as it arrives, compressed or not; it never has to fit into memory."""
    key, settings = check_key(call.path("key")), call.platform.settings
    content_type = call.request.headers.get("content-type") or "application/octet-stream"
    body = Body(call.request, settings.max_record_bytes)
    await call.platform.storages.records.put(
        document["id"], key, content_type, body.as_sent(), encoding=body.encoding, measure=lambda: body.size
    )
    call.platform.storages.touch("store", document)
    return json_answer({}, 201)


def _wanted(call: Call, document: Document) -> Filter:
    """What `prefix` and `collection` leave. Raises: ApiError 400 for a collection that no schema declares."""
    where = Filter()
    if prefix := call.query.text("prefix"):
        where.add("substr(key, 1, ?)=?", len(prefix), prefix)
    if name := call.query.text("collection"):
        schema = document.get("schema") or {}
        collection = schema.get("collections", {}).get(name)
        if collection is None:
            raise ApiError(400, "invalid-collection", f'The schema of the store has no collection "{name[:50]}".')
        if key := collection.get("key"):
            where.add("key=?", key)
        start = collection.get("keyPrefix") or ""
        where.add("substr(key, 1, ?)=?", len(start), start)
    return where


def _key(call: Call, document: Document, record: Record) -> Document:
    url = f"{call.platform.settings.base_url}/v2/key-value-stores/{document['id']}/records/{quote(record.key, safe='')}"
    if not call.platform.access.is_open(document):
        url += f"?signature={record_signature(document['_urlSigningSecretKey'], record.key)}"
    return {"key": record.key, "size": record.size, "recordPublicUrl": url}


def _every(records: Records, store: str, where: Filter) -> Iterator[Record]:
    key = ""
    while page := records.after(store, key, where, _MAX_KEYS):
        yield from page
        key = page[-1].key


def _noted(record: Record) -> Iterator[bytes]:
    yield _HTML_NOTE
    yield from record.pieces()


def _bytes(call: Call, pieces: Iterator[bytes], headers: dict[str, str]) -> Response:
    return Response(headers=headers) if call.request.method == "HEAD" else StreamingResponse(pieces, headers=headers)
