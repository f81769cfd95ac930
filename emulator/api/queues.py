"""Request queues, in outline: they exist and are empty. Actors that queue requests need the real platform."""

from starlette.responses import Response

from emulator.api import storages
from emulator.api.call import Call, Endpoint, Find, data
from emulator.documents import Document

_COUNTERS = ("totalRequestCount", "handledRequestCount", "pendingRequestCount")


def standalone() -> list[Endpoint]:
    """`/v2/request-queues` and below."""
    root = "/v2/request-queues/{storage}"
    return [storages.collection("queue", present), *endpoints(root, storages.by_id("queue"), public=True)]


def endpoints(root: str, find: Find, *, public: bool) -> list[Endpoint]:
    """One queue, wherever it hangs."""

    async def head(call: Call) -> Response:
        queue, limit = find(call), call.query.integer("limit") or 1000
        modified = queue["modifiedAt"]
        return data({"limit": limit, "queueModifiedAt": modified, "hadMultipleClients": False, "items": []})

    async def requests(call: Call) -> Response:
        find(call)
        return data({"limit": call.query.integer("limit") or 10_000, "items": []})

    return [
        storages.one("queue", root, find, present, public=public),
        Endpoint(f"{root}/head", {"GET": head}, public),
        Endpoint(f"{root}/requests", {"GET": requests}, public),
    ]


def present(call: Call, document: Document) -> Document:
    """A queue as the API shows it."""
    counters = dict.fromkeys(_COUNTERS, 0)
    return {**storages.described("queue", call, document), **counters, "hadMultipleClients": False, "stats": {}}
