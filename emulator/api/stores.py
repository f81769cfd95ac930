"""Key-value stores, their keys and records (Apify API, "Key-value stores")."""

from urllib.parse import quote

from starlette.responses import FileResponse, Response

from emulator.api import storages
from emulator.api.call import Call, Endpoint, Find, data, json_answer
from emulator.bodies import body_pieces
from emulator.documents import Document
from emulator.errors import not_found
from emulator.records import check_key

_MAX_KEYS = 1000


def standalone() -> list[Endpoint]:
    """`/v2/key-value-stores` and below."""
    root = "/v2/key-value-stores/{storage}"
    return [storages.collection("store", present), *endpoints(root, storages.by_id("store"), public=True)]


def endpoints(root: str, find: Find, *, public: bool) -> list[Endpoint]:
    """One store with its keys and records, wherever it hangs."""

    async def keys(call: Call) -> Response:
        return list_keys(call, find(call))

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
        Endpoint(f"{root}/records/{{key:path}}", record, public),
    ]


def present(call: Call, document: Document) -> Document:
    """A store as the API shows it."""
    view = storages.described("store", call, document)
    urls = {"keysPublicUrl": f"{view['consoleUrl']}/keys", "recordsPublicUrl": f"{view['consoleUrl']}/records"}
    return {**view, **urls, "stats": {}}


def list_keys(call: Call, document: Document) -> Response:
    """`GET …/keys`, in the order of the keys' bytes."""
    store, query = document["id"], call.query
    limit = min(query.integer("limit") or _MAX_KEYS, _MAX_KEYS)
    start = query.text("exclusiveStartKey")
    found = call.platform.storages.records.after(store, start or "", query.text("prefix") or "", limit + 1)
    records, is_truncated = found[:limit], len(found) > limit
    root = f"{call.platform.settings.base_url}/v2/key-value-stores/{store}/records/"
    items = [
        {"key": record.key, "size": record.size, "recordPublicUrl": root + quote(record.key, safe="")}
        for record in records
    ]
    return data(
        {
            "items": items,
            "count": len(items),
            "limit": limit,
            "exclusiveStartKey": start,
            "isTruncated": is_truncated,
            "nextExclusiveStartKey": records[-1].key if is_truncated else None,
        }
    )


def get_record(call: Call, document: Document) -> Response:
    """The record's bytes with the content type they were stored with."""
    record = call.platform.storages.records.get(document["id"], check_key(call.path("key")))
    if record is None:
        raise not_found("Record")
    headers = {"content-type": record.content_type}
    if call.query.flag("attachment"):
        headers["content-disposition"] = f"attachment; filename*=utf-8''{quote(record.key, safe='')}"
    return FileResponse(record.path, headers=headers)


async def put_record(call: Call, document: Document) -> Response:
    """Store the body as it arrives; it never has to fit into memory."""
    key, settings = check_key(call.path("key")), call.platform.settings
    content_type = call.request.headers.get("content-type") or "application/octet-stream"
    pieces = body_pieces(call.request, settings.max_record_bytes)
    await call.platform.storages.records.put(document["id"], key, content_type, pieces)
    call.platform.storages.touch("store", document)
    return json_answer({}, 201)
