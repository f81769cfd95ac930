"""Messages out of items and documents: what all sinks have in common that put them into queues, streams and topics.

The body of a message is the item exactly as it was stored, or a JSON list of a batch's items. Its id is the same on
every try, and another one in a replay: a consumer that remembers ids sees everything once.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, BeforeValidator, Field, model_validator

from config.contracts.document import Document, Glimpse
from config.contracts.errors import Permanent
from config.contracts.sink import Batch, Rejected, Shipment
from config.language.template import ROOTS, Template
from workers.routing import batches
from workers.sinks import _shown

#: Name of the header that carries the id, where a broker has no place of its own for it.
ID = "runrelay-id"
#: What the headers say besides ids.
NAMES = ("actor",)

_PLAIN = re.compile(r"[A-Za-z0-9:_.-]{1,64}", re.ASCII)
_JSON = "application/json"
_KNOWN = ROOTS | batches.OF["item"]


def _of_an_item(written: object) -> object:
    return Template(written, _KNOWN) if isinstance(written, str) else written


#: A template that knows `item`, too: `{{ item.url }}`.
ItemTemplate = Annotated[Template, BeforeValidator(_of_an_item)]


class MessageTarget(BaseModel, extra="forbid", frozen=True):
    """Options of a target that gets messages."""

    per: Literal["item", "batch"] | None = Field(
        None,
        description="What one message holds: `item`, as it was stored (the default), or a `batch`, as a JSON list.",
        examples=["per: batch"],
    )

    @model_validator(mode="after")
    def _agrees(self) -> "MessageTarget":
        """A message of many items has no one item to be named after."""
        for _, option in self:
            batches.no_others(getattr(option, "roots", ()) if self.per == "batch" else (), "batch")
        return self


@dataclass(frozen=True, slots=True)
class Message:
    """One message, as bytes.

    Attributes:
        id: at most 255 printable ASCII characters, the same on every try.
        key: what the sink's template says of it: a key, a subject, a routing key; empty without one.
        headers: where it comes from, in printable ASCII; its content type as well.
        rows: absolute numbers of the rows in it; of a document, one.
    """

    id: str
    key: str
    body: bytes
    headers: Mapping[str, str]
    rows: Sequence[int]


def messages(
    batch: Batch, shipment: Shipment, key: Template | None = None, *, most: int | None = None
) -> Iterator[Message | Rejected]:
    """The messages of a batch, in order, one made at a time; and the items that can be none.

    most: bytes a body may have. A list of items is cut into several so that each fits: the same ones on every try.
    """
    if getattr(shipment.options, "per", None) == "batch":
        yield from _lists(batch, shipment, key, most)
        return
    about = _about(shipment)
    scope, of_item = dict(shipment.scope), key is not None and "item" in key.roots
    named = "" if key is None or of_item else key.render(scope)
    for row, item in zip(batch.numbers, batch.items(), strict=False):
        if most is not None and len(item) > most:
            yield _too_large(row, len(item), most)
            continue
        if key is not None and of_item:
            try:
                named = key.render({**scope, "item": msgspec.Raw(item)})
            except Permanent as exc:
                yield Rejected(row, exc.detail)
                continue
        id = _id(shipment, str(row))
        yield Message(id, named, item, {**about, ID: id, "runrelay-item": str(row), "content-type": _JSON}, (row,))


def _lists(batch: Batch, shipment: Shipment, key: Template | None, most: int | None) -> Iterator[Message | Rejected]:
    about = _about(shipment)
    named = key.render(shipment.scope) if key else ""
    for part in _cut(batch, most):
        if isinstance(part, Rejected):
            yield part
            continue
        rows, items = zip(*part, strict=True)
        span = f"{rows[0]}-{rows[-1]}"
        id = _id(shipment, span)
        more = {ID: id, "runrelay-item": span, "runrelay-count": str(len(rows)), "content-type": _JSON}
        yield Message(id, named, b"[" + b",".join(items) + b"]", {**about, **more}, rows)


def _cut(batch: Batch, most: int | None) -> Iterator[list[tuple[int, bytes]] | Rejected]:
    """Rows and items of each list. Every item costs its bytes and a comma or bracket; one more bracket closes."""
    part: list[tuple[int, bytes]] = []
    size = 1
    for row, item in zip(batch.numbers, batch.items(), strict=False):
        if most is not None and len(item) + 2 > most:
            yield _too_large(row, len(item) + 2, most)
            continue
        if part and most is not None and size + len(item) + 1 > most:
            yield part
            part, size = [], 1
        part.append((row, item))
        size += len(item) + 1
    if part:
        yield part


def sound(found: Iterable[Message | Rejected], rejected: list[Rejected]) -> Iterator[Message]:
    """The messages among them; the others go to the list."""
    for one in found:
        if isinstance(one, Rejected):
            rejected.append(one)
        else:
            yield one


def picked(batch: Batch, rows: Sequence[int]) -> Batch:
    """Those rows of a batch, as one of its own."""
    wanted = set(rows)
    items = [item for row, item in zip(batch.numbers, batch.items(), strict=False) if row in wanted]
    lines = b"".join(item + b"\n" for item in items)
    return replace(batch, offset=rows[0], lines=lines, count=len(items), kept=tuple(rows))


def windows(found: Iterable[Message], most: int, most_bytes: int) -> Iterator[list[Message]]:
    """So many messages at once, and so many bytes of them, but at least one."""
    window: list[Message] = []
    size = 0
    for message in found:
        if window and (len(window) == most or size + len(message.body) > most_bytes):
            yield window
            window, size = [], 0
        window.append(message)
        size += len(message.body)
    if window:
        yield window


async def letter(
    document: Document, shipment: Shipment, key: Template | None = None, *, number: int, most: int
) -> Message | Rejected:
    """A document as one message.

    number: which of the stream's documents it is. most: bytes a body may have; no more than that is read.
    """
    body = bytearray()
    async for chunk in document.chunks:
        body += chunk
        if len(body) > most:
            return _too_large(number, max(document.size or 0, len(body)), most)
    return _letter(document, bytes(body), shipment, key, number)


def _letter(
    document: Document | Glimpse, body: bytes, shipment: Shipment, key: Template | None, number: int
) -> Message:
    # Keys of records may be longer than an id may be.
    id = _id(shipment, hashlib.sha256(document.key.encode()).hexdigest()[:32])
    named = key.render({**shipment.scope, "record": {"key": document.key}}) if key else ""
    more = {ID: id, "runrelay-record": plain(document.key), "content-type": plain(document.content_type)}
    return Message(id, named, body, {**_about(shipment), **more}, (number,))


def previewed(
    what: Batch | Glimpse,
    shipment: Shipment,
    key: Template | None,
    *,
    most: int,
    place: Callable[[Message], str],
    fault: Callable[[Message], str | None] = lambda message: None,
) -> Iterator[str]:
    """Each message: where it goes, its headers and its body.

    place: where, in words. fault: what is wrong with a message for this broker, if something is.
    """
    if isinstance(what, Batch):
        found = messages(what, shipment, key, most=most)
    else:
        found = _glimpsed(what, shipment, key, most)
    for made in found:
        if isinstance(made, Rejected):
            yield _shown.refusal(made)
        elif why := fault(made):
            yield from (_shown.refusal(Rejected(row, why)) for row in made.rows)
        else:
            yield place(made)
            yield _shown.row(made.headers)
            yield from _shown.lines(made.body) if isinstance(what, Batch) else _shown.document(what)


def _glimpsed(document: Glimpse, shipment: Shipment, key: Template | None, most: int) -> Iterator[Message | Rejected]:
    size = document.size or len(document.start)
    yield _too_large(0, size, most) if size > most else _letter(document, document.start, shipment, key, 0)


def plain(text: str) -> str:
    """Printable ASCII as it is; everything else, and `%`, percent-encoded."""
    written = text.encode("utf-8", "replace")
    return "".join(chr(byte) if 0x20 <= byte <= 0x7E and byte != 0x25 else f"%{byte:02X}" for byte in written).strip()


def _too_large(row: int, size: int, most: int) -> Rejected:
    return Rejected(row, f"a message of {size} bytes, and {most} is the most")


def _id(shipment: Shipment, part: str) -> str:
    stream = shipment.stream
    if not _PLAIN.fullmatch(stream):
        stream = f"{stream.partition(':')[0]}:{hashlib.sha256(stream.encode()).hexdigest()[:32]}"
    return f"{shipment.delivery.id}:{stream}:{part}"


def _about(shipment: Shipment) -> dict[str, Any]:
    """Where a message comes from. Only facts that are the same on every try."""
    delivery, run = shipment.delivery, shipment.run
    facts = {
        "delivery": delivery.id,
        "route": delivery.route,
        "target": delivery.target,
        "stream": shipment.stream,
        "source": run.source,
        "run": run.id,
        "actor": run.actor or run.actor_id,
    }
    return {f"runrelay-{name}": plain(value) for name, value in facts.items()}
