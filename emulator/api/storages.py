"""What datasets, key-value stores and request queues have in common: create, list, show, rename, delete."""

from collections.abc import Callable

from starlette.responses import Response

from emulator.access import GENERAL_ACCESS
from emulator.api.call import Call, Endpoint, Find, data
from emulator.bodies import json_object
from emulator.documents import Document, Filter, shown
from emulator.errors import invalid_input, not_found
from emulator.signatures import lasting_signature, opens_content, opens_record
from emulator.stamps import stamp
from emulator.storages import PATHS, StorageKind

Present = Callable[[Call, Document], Document]

_OWNERSHIPS = {"ownedByMe", "sharedWithMe"}
_TITLES: dict[StorageKind, str] = {"dataset": "Dataset", "store": "Key-value store", "queue": "Request queue"}


def by_id(kind: StorageKind) -> Find:
    """Find the storage of the path: by id, or with a token also by `username~name`."""

    def find(call: Call) -> Document:
        key = call.path("storage")
        if "~" in key:
            call.need_token()
        found = call.platform.storages.find(kind, key, call.account)
        if found is None:
            raise not_found(_TITLES[kind])
        return found if _is_signed(call, found) else call.admitted(found)

    return find


def collection(kind: StorageKind, present: Present) -> Endpoint:
    """`GET` and `POST` of all storages of one kind."""

    async def create(call: Call) -> Response:
        document, is_new = call.platform.storages.get_or_create(kind, call.query.text("name"), call.account)
        return data(present(call, document), 201 if is_new else 200)

    async def list_them(call: Call) -> Response:
        unnamed, where = bool(call.query.flag("unnamed")), own(call)
        if not unnamed:
            where.add("name IS NOT NULL")
        if call.query.choices("ownership", _OWNERSHIPS) == ["sharedWithMe"]:
            where.add("0")  # nothing is ever shared here
        page = call.platform.documents.page(kind, call.query, where)
        items = [_listed(present(call, document)) for document in page["items"]]
        return data({**page, "unnamed": unnamed, "items": items})

    return Endpoint(f"/v2/{PATHS[kind]}", {"GET": list_them, "POST": create})


def one(kind: StorageKind, root: str, find: Find, present: Present, *, public: bool) -> Endpoint:
    """`GET`, `PUT` and `DELETE` of one storage."""

    async def show(call: Call) -> Response:
        return data(present(call, find(call)))

    async def update(call: Call) -> Response:
        body = await json_object(call.request, call.platform.settings.max_request_bytes)
        document = find(call)
        name, level = body.get("name", document["name"]), body.get("generalAccess")
        if name is not None and not isinstance(name, str):
            raise invalid_input("Field name must be a string.")
        if not (level is None or (isinstance(level, str) and level in GENERAL_ACCESS)):
            raise invalid_input(f"Field generalAccess must be one of {', '.join(GENERAL_ACCESS)}.")
        if level:
            document["generalAccess"] = level
        call.platform.storages.rename(kind, document, name)
        return data(present(call, document))

    async def delete(call: Call) -> Response:
        call.platform.storages.delete(kind, find(call)["id"])
        return Response(status_code=204)

    return Endpoint(root, {"GET": show, "PUT": update, "DELETE": delete}, public)


def described(kind: StorageKind, call: Call, document: Document) -> Document:
    """The fields every storage shows."""
    access = call.platform.access
    view = {
        **shown(document),
        "accessedAt": stamp(),
        "consoleUrl": f"{call.platform.settings.base_url}/v2/{PATHS[kind]}/{document['id']}",
        "generalAccess": access.general_access(document),
    }
    is_writer = call.token is not None and call.account.id == document["userId"]
    if kind != "queue" and is_writer:
        view["urlSigningSecretKey"] = document["_urlSigningSecretKey"]
    return view


def public_url(call: Call, view: Document, document: Document, content: str) -> str:
    """Where the items of a dataset or the keys of a store are read without a token."""
    url = f"{view['consoleUrl']}/{content}"
    if call.platform.access.is_open(document):
        return url
    return f"{url}?signature={lasting_signature(document['_urlSigningSecretKey'], document['id'])}"


def own(call: Call) -> Filter:
    """Only what belongs to the caller."""
    return Filter().add("json_extract(body, '$.userId')=?", call.account.id)


def _listed(view: Document) -> Document:
    """Lists always show a name: that of an unnamed storage is its id (Apify API, the schemas of these lists)."""
    return {**view, "name": view["name"] or view["id"]}


def _is_signed(call: Call, document: Document) -> bool:
    """Whether the URL brings a signature that opens just this; it opens records, keys and items for reading."""
    signature, secret = call.query.text("signature"), document["_urlSigningSecretKey"]
    if not signature or not call.is_read:
        return False
    if key := call.request.path_params.get("key"):
        return opens_record(signature, secret, key)
    is_content = call.request.url.path.rpartition("/")[2] in {"items", "keys", "records"}
    return is_content and opens_content(signature, secret, document["id"])
