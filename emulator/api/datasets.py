"""Datasets and their items (Apify API, "Get dataset items", "Store items")."""

from collections.abc import Iterable, Iterator

from starlette.responses import Response, StreamingResponse

from emulator.api import storages
from emulator.api.call import Call, Endpoint, Find, json_answer
from emulator.bodies import whole_body
from emulator.datasets import Window
from emulator.documents import Document
from emulator.errors import invalid_value
from emulator.query import Query
from emulator.rows import RowFilter, is_clean, split_rows

_TYPES = {"json": "application/json; charset=utf-8", "jsonl": "application/jsonl; charset=utf-8"}
_NO_LIMIT = 999_999_999_999  # what the platform reports when no limit was sent
_NOT_EMULATED = ("unwind", "flatten", "view", "outputFields", "simplified", "skipFailedPages")
_PIECE_BYTES = 256 * 1024


def standalone() -> list[Endpoint]:
    """`/v2/datasets` and below."""
    root = "/v2/datasets/{storage}"
    return [storages.collection("dataset", present), *endpoints(root, storages.by_id("dataset"), public=True)]


def endpoints(root: str, find: Find, *, public: bool) -> list[Endpoint]:
    """One dataset and its items, wherever it hangs."""

    async def items(call: Call) -> Response:
        return list_items(call, find(call))

    async def push(call: Call) -> Response:
        return await push_items(call, find(call))

    return [
        storages.one("dataset", root, find, present, public=public),
        Endpoint(f"{root}/items", {"GET": items, "POST": push}, public),
    ]


def present(call: Call, document: Document) -> Document:
    """A dataset as the API shows it; its counts lag as the rows do."""
    count = call.platform.storages.datasets.visible(document["id"])
    view = storages.described("dataset", call, document)
    items_url = f"{view['consoleUrl']}/items"
    return {
        **view,
        "itemCount": count,
        "cleanItemCount": min(count, document["cleanItemCount"]),
        "fields": [],
        "stats": {"readCount": 0, "writeCount": count, "storageBytes": 0},
        "itemsPublicUrl": items_url,
    }


def list_items(call: Call, document: Document) -> Response:
    """A window of rows first, then what the filters leave of it."""
    query, datasets = call.query, call.platform.storages.datasets
    media_type = _media_type(query)
    offset, desc = query.integer("offset") or 0, bool(query.flag("desc"))
    limit = query.integer("limit") or _NO_LIMIT
    filter_ = row_filter(query)
    total = datasets.visible(document["id"])
    window = datasets.window(document["id"], total, offset, limit, desc=desc)
    is_lines = query.text("format") == "jsonl"
    if filter_ or desc:
        pieces = _join(filter_.apply(window.rows(desc=desc)), b"\n" if is_lines else b",\n")
    else:
        pieces = window.pieces() if is_lines else _with_commas(window)
    headers = {
        "X-Apify-Pagination-Offset": str(offset),
        "X-Apify-Pagination-Limit": str(limit),
        "X-Apify-Pagination-Count": str(len(window)),
        "X-Apify-Pagination-Total": str(total),
        "X-Apify-Pagination-Desc": "true" if desc else "false",
    }
    if query.flag("attachment"):
        headers["Content-Disposition"] = "attachment"
    if call.request.method == "HEAD":
        return Response(headers=headers, media_type=media_type)
    body = pieces if is_lines else _bracketed(pieces)
    return StreamingResponse(body, headers=headers, media_type=media_type)


def row_filter(query: Query) -> RowFilter:
    """What the query wants left of each row. Raises: ApiError 400 for what is not emulated."""
    if unknown := [name for name in _NOT_EMULATED if query.text(name)]:
        raise invalid_value(f'Query parameter "{unknown[0]}" is not supported by the emulator.')
    clean = bool(query.flag("clean"))
    return RowFilter(
        fields=tuple(query.words("fields")),
        omit=tuple(query.words("omit")),
        skip_hidden=clean or bool(query.flag("skipHidden")),
        skip_empty=clean or bool(query.flag("skipEmpty")),
    )


async def push_items(call: Call, document: Document) -> Response:
    """All rows of the body or none."""
    rows = split_rows(await whole_body(call.request, call.platform.settings.max_request_bytes))
    storages_ = call.platform.storages
    storages_.datasets.append(document["id"], rows)
    document["cleanItemCount"] += sum(is_clean(row) for row in rows)
    storages_.touch("dataset", document)
    return json_answer({}, 201)


def _media_type(query: Query) -> str:
    name = query.text("format") or "json"
    if name not in _TYPES:
        raise invalid_value(f'Query parameter "format" must be json or jsonl in the emulator, not "{name[:20]}".')
    return _TYPES[name]


def _with_commas(window: Window) -> Iterator[bytes]:
    """The window's lines as the inside of a JSON array; a raw line break never occurs inside a row."""
    before = b""
    for piece in window.pieces():
        joined = before + piece
        whole, before = (joined[:-1], joined[-1:]) if joined.endswith(b"\n") else (joined, b"")
        yield whole.replace(b"\n", b",\n")


def _join(rows: Iterable[bytes], separator: bytes) -> Iterator[bytes]:
    """Rows with separators between them, in pieces of some 256 KiB; lines also end with one."""
    buffer = bytearray()
    for index, row in enumerate(rows):
        buffer += (separator if index else b"") + row
        if len(buffer) >= _PIECE_BYTES:
            yield bytes(buffer)
            buffer.clear()
    if buffer:
        yield bytes(buffer) + (b"\n" if separator == b"\n" else b"")


def _bracketed(pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield b"["
    yield from pieces
    yield b"]"
