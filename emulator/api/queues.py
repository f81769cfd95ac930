"""Request queues: head, locks, and the requests themselves (Apify API, "Request queues")."""

import base64
import binascii
from typing import Any

import msgspec
from starlette.responses import Response

from emulator.api import storages
from emulator.api.call import Call, Endpoint, Find, data
from emulator.bodies import Shape, json_body
from emulator.documents import Document
from emulator.errors import invalid_input, invalid_value
from emulator.queues import STATES, Client, request_id
from emulator.stamps import stable_id

_MAX_HEAD = 1000
_MAX_LOCKED_HEAD = 25
_MAX_BATCH = 25
_MAX_PAGE = 10_000
_MAX_CLIENT_KEY = 32
_LONGEST_LOCK = 86_400  # seconds; the platform documents no most, and a lock for longer is a request lost


def standalone() -> list[Endpoint]:
    """`/v2/request-queues` and below."""
    root = "/v2/request-queues/{storage}"
    return [storages.collection("queue", present), *endpoints(root, storages.by_id("queue"), public=True)]


def endpoints(root: str, find: Find, *, public: bool) -> list[Endpoint]:
    """One queue with its head and requests, wherever it hangs."""
    queue = _Queue(find)
    one = {"GET": queue.show, "PUT": queue.update, "DELETE": queue.delete}
    return [
        storages.one("queue", root, find, present, public=public),
        Endpoint(f"{root}/head", {"GET": queue.head}, public),
        Endpoint(f"{root}/head/lock", {"POST": queue.lock_head}),
        Endpoint(f"{root}/requests", {"GET": queue.page, "POST": queue.add}, public),
        Endpoint(f"{root}/requests/batch", {"POST": queue.add_batch, "DELETE": queue.delete_batch}),
        Endpoint(f"{root}/requests/unlock", {"POST": queue.unlock}),
        Endpoint(f"{root}/requests/{{request}}", one, public),
        Endpoint(f"{root}/requests/{{request}}/lock", {"PUT": queue.prolong, "DELETE": queue.release}),
    ]


def present(call: Call, document: Document) -> Document:
    """A queue as the API shows it."""
    counts = call.platform.queues.counts(document["id"])
    return {
        "hadMultipleClients": False,
        **storages.described("queue", call, document),
        "totalRequestCount": counts.total,
        "handledRequestCount": counts.handled,
        "pendingRequestCount": counts.pending,
        "stats": {},
    }


class _Queue:
    """The endpoints of one queue, however the path names it."""

    def __init__(self, find: Find) -> None:
        self._find = find

    async def head(self, call: Call) -> Response:
        queue, limit = self._used(call), _capped(call, _MAX_HEAD)
        return data(_head(queue, limit) | {"items": call.platform.queues.head(queue["id"], limit)})

    async def lock_head(self, call: Call) -> Response:
        seconds = _lock_seconds(call)
        queue, client, limit = self._used(call), _client(call), _capped(call, _MAX_LOCKED_HEAD)
        queues = call.platform.queues
        with queues.batch():
            items = queues.lock_head(queue["id"], client, limit, seconds)
        more = {"lockSecs": int(seconds), "queueHasLockedRequests": queues.has_locks(queue["id"])}
        named = {"clientKey": client.key} if client.key else {}
        return data(_head(queue, limit) | more | named | {"items": items}, 201)

    async def page(self, call: Call) -> Response:
        queue, query, limit = self._used(call), call.query, _capped(call, _MAX_PAGE)
        cursor, start = query.text("cursor"), query.text("exclusiveStartId")
        if cursor and start:
            raise invalid_value('Query parameters "cursor" and "exclusiveStartId" exclude each other.')
        after = _read_cursor(cursor) if cursor else start or ""
        found = call.platform.queues.page(queue["id"], after, limit, query.choices("filter", STATES))
        marks = {"cursor": cursor, "exclusiveStartId": start, "nextCursor": found.last and _cursor(found.last)}
        marks = {name: value for name, value in marks.items() if value}
        return data({"items": found.items, "limit": limit, **marks})

    async def add(self, call: Call) -> Response:
        request, forefront = await _json(call, dict[str, Any]), bool(call.query.flag("forefront"))
        queue = self._changed(call)
        return data(call.platform.queues.add(queue["id"], request, forefront=forefront), 201)

    async def add_batch(self, call: Call) -> Response:
        requests, forefront = await _batch(call), bool(call.query.flag("forefront"))
        queue, queues = self._changed(call), call.platform.queues
        with queues.batch():
            added = [
                {**queues.add(queue["id"], request, forefront=forefront), "uniqueKey": request["uniqueKey"]}
                for request in requests
            ]
        return data({"processedRequests": added, "unprocessedRequests": []}, 201)

    async def delete_batch(self, call: Call) -> Response:
        requests = [_named(request) for request in await _batch(call)]
        queue, queues = self._changed(call), call.platform.queues
        with queues.batch():
            for request in requests:
                queues.delete(queue["id"], request.get("id") or request_id(request["uniqueKey"]))
        return data({"processedRequests": requests, "unprocessedRequests": []})

    async def unlock(self, call: Call) -> Response:
        queue = self._changed(call)
        return data({"unlockedCount": call.platform.queues.release_all(queue["id"], _client(call))})

    async def show(self, call: Call) -> Response:
        return data(call.platform.queues.get(self._find(call)["id"], call.path("request")))

    async def update(self, call: Call) -> Response:
        request, forefront = await _json(call, dict[str, Any]), bool(call.query.flag("forefront"))
        queue = self._changed(call)
        return data(call.platform.queues.update(queue["id"], call.path("request"), request, forefront=forefront))

    async def delete(self, call: Call) -> Response:
        call.platform.queues.delete(self._changed(call)["id"], call.path("request"))
        return Response(status_code=204)

    async def prolong(self, call: Call) -> Response:
        seconds, forefront = _lock_seconds(call), bool(call.query.flag("forefront"))
        queue, request = self._used(call), call.path("request")
        until = call.platform.queues.prolong(queue["id"], request, _client(call), seconds, forefront=forefront)
        return data({"lockExpiresAt": until})

    async def release(self, call: Call) -> Response:
        queue, forefront = self._used(call), bool(call.query.flag("forefront"))
        call.platform.queues.release(queue["id"], call.path("request"), _client(call), forefront=forefront)
        return Response(status_code=204)

    def _used(self, call: Call) -> Document:
        """The queue; a second client is noted on it for good."""
        queue, key = self._find(call), _client(call).key
        if queue.get("_client") is None:
            queue["_client"] = key
        elif queue["_client"] == key or queue.get("hadMultipleClients"):
            return queue
        else:
            queue["hadMultipleClients"] = True
        call.platform.documents.save("queue", queue)
        return queue

    def _changed(self, call: Call) -> Document:
        queue = self._used(call)
        call.platform.storages.touch("queue", queue)
        return queue


def _head(queue: Document, limit: int) -> Document:
    return {
        "limit": limit,
        "queueModifiedAt": queue["modifiedAt"],
        "hadMultipleClients": queue.get("hadMultipleClients", False),
    }


def _client(call: Call) -> Client:
    key = call.query.text("clientKey") or ""
    if len(key) > _MAX_CLIENT_KEY:
        raise invalid_value(f'Query parameter "clientKey" takes at most {_MAX_CLIENT_KEY} characters.')
    return Client(key, stable_id(call.token) if call.token and call.platform.access.is_run(call.token) else None)


def _capped(call: Call, most: int) -> int:
    return min(call.query.integer("limit") or most, most)


def _lock_seconds(call: Call) -> float:
    seconds = call.query.number("lockSecs")
    if not seconds or seconds > _LONGEST_LOCK:
        raise invalid_value(f'Query parameter "lockSecs" must be a number above 0, {_LONGEST_LOCK} at most.')
    return seconds


async def _json(call: Call, type_: type[Shape]) -> Shape:
    return await json_body(call.request, call.platform.settings.max_request_bytes, type_)


async def _batch(call: Call) -> list[Document]:
    requests = await _json(call, list[Document])
    if len(requests) > _MAX_BATCH:
        raise invalid_input(f"A batch takes at most {_MAX_BATCH} requests.")
    return requests


def _named(request: Document) -> Document:
    named = {name: request[name] for name in ("id", "uniqueKey") if isinstance(request.get(name), str)}
    if not named:
        raise invalid_input("Each request to delete needs an id or a uniqueKey.")
    return named


def _cursor(id_: str) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode({"requestId": id_})).decode().rstrip("=")


def _read_cursor(text: str) -> str:
    try:
        body = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        return msgspec.json.decode(body, type=dict[str, str])["requestId"]
    except (binascii.Error, ValueError, KeyError):
        raise invalid_value('Query parameter "cursor" must be the nextCursor of an earlier page.') from None
