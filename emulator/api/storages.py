"""What datasets, key-value stores and request queues have in common: create, list, show, rename, delete."""

from collections.abc import Callable

from starlette.responses import Response

from emulator.api.call import Call, Endpoint, Find, data
from emulator.bodies import json_object
from emulator.documents import Document, Filter, shown
from emulator.errors import invalid_input, not_found
from emulator.stamps import stamp
from emulator.storages import PATHS, StorageKind

Present = Callable[[Call, Document], Document]

_TITLES: dict[StorageKind, str] = {"dataset": "Dataset", "store": "Key-value store", "queue": "Request queue"}


def by_id(kind: StorageKind) -> Find:
    """Find the storage of the path: by id, or with a token also by `username~name`."""

    def find(call: Call) -> Document:
        key = call.path("storage")
        if "~" in key:
            call.need_token()
        if found := call.platform.storages.find(kind, key):
            return found
        raise not_found(_TITLES[kind])

    return find


def collection(kind: StorageKind, present: Present) -> Endpoint:
    """`GET` and `POST` of all storages of one kind."""

    async def create(call: Call) -> Response:
        document, is_new = call.platform.storages.get_or_create(kind, call.query.text("name"))
        return data(present(call, document), 201 if is_new else 200)

    async def list_them(call: Call) -> Response:
        where = None if call.query.flag("unnamed") else Filter().add("name IS NOT NULL")
        page = call.platform.documents.page(kind, call.query, where)
        return data({**page, "items": [present(call, document) for document in page["items"]]})

    return Endpoint(f"/v2/{PATHS[kind]}", {"GET": list_them, "POST": create})


def one(kind: StorageKind, root: str, find: Find, present: Present, *, public: bool) -> Endpoint:
    """`GET`, `PUT` and `DELETE` of one storage."""

    async def show(call: Call) -> Response:
        return data(present(call, find(call)))

    async def rename(call: Call) -> Response:
        body = await json_object(call.request, call.platform.settings.max_request_bytes)
        document = find(call)
        name = body.get("name", document["name"])
        if name is not None and not isinstance(name, str):
            raise invalid_input("Field name must be a string.")
        call.platform.storages.rename(kind, document, name)
        return data(present(call, document))

    async def delete(call: Call) -> Response:
        call.platform.storages.delete(kind, find(call)["id"])
        return Response(status_code=204)

    return Endpoint(root, {"GET": show, "PUT": rename, "DELETE": delete}, public)


def described(kind: StorageKind, call: Call, document: Document) -> Document:
    """The fields every storage shows."""
    settings = call.platform.settings
    return {
        **shown(document),
        "accessedAt": stamp(),
        "consoleUrl": f"{settings.base_url}/v2/{PATHS[kind]}/{document['id']}",
        "generalAccess": "RESTRICTED" if settings.restricted else "ANYONE_WITH_ID_CAN_READ",
    }
