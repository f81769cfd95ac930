"""The requests of one stream: which there are, with which ids, headers and bodies. The same for the same items."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from config.contracts.document import Document, Glimpse
from config.contracts.sink import Batch, Shipment
from workers.routing import batches
from workers.sinks._http_bodies import envelope
from workers.sinks._http_options import HEADER_TEXT, Target

_PLAIN = re.compile(r"[A-Za-z0-9:_-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `body`: None if it is that of a document, as it comes."""

    id: str
    headers: Mapping[str, str]
    body: bytes | None


class Requests:
    """Makes them. All calls raise Permanent (template_failed)."""

    def __init__(self, shipment: Shipment) -> None:
        assert isinstance(shipment.options, Target)
        self.shipment, self.target = shipment, shipment.options

    def of(self, batch: Batch) -> Iterator[Request]:
        """Those of a batch of which nothing is refused."""
        if self.target.per != "item":
            yield self.of_batch(batch)
            return
        for number, item in zip(batch.numbers, batch.items(), strict=False):
            yield self.of_item(number, item)

    def of_batch(self, batch: Batch) -> Request:
        """Of a batch that may be cut, the id is the rows in it."""
        part = f"{batch.numbers[0]}-{batch.numbers[-1]}" if self.target.bisect else str(batch.index)
        body = envelope(self.shipment, batch) if self.target.body is None else self._rendered(batches.known(batch))
        return self._request(part, body)

    def of_item(self, number: int, item: bytes) -> Request:
        body = item if self.target.body is None else self._rendered({"item": msgspec.Raw(item)})
        return self._request(str(number), body, **{"X-Runrelay-Row": str(number)})

    def of_document(self, document: Document | Glimpse) -> Request:
        # Record keys may be longer than an id may be.
        id = self._id(hashlib.sha256(document.key.encode()).hexdigest()[:32])
        headers = {**self._context(), "X-Runrelay-Record-Key": _header(document.key)}
        if self.target.body is not None:
            record = {"key": document.key, "contentType": document.content_type, "size": document.size}
            return Request(id, {**headers, "Content-Type": self._kind("")}, self._rendered({"record": record}))
        known = document.content_type and HEADER_TEXT.fullmatch(document.content_type)
        kind = document.content_type if known else "application/octet-stream"
        return Request(id, {**headers, "Content-Type": kind}, None)

    def _request(self, part: str, body: bytes, **headers: str) -> Request:
        kind = {"Content-Type": self._kind("application/json")}
        return Request(self._id(part), {**self._context(), **kind, **headers}, body)

    def _rendered(self, known: Mapping[str, Any]) -> bytes:
        """What `body` gives."""
        assert self.target.body is not None
        value = self.target.body.render({**self.shipment.scope, **known})
        return value.encode() if self.target.body.prints else batches.as_json(value, "body")

    def _kind(self, otherwise: str) -> str:
        return self.target.content_type or (self.target.body.kind if self.target.body else otherwise)

    def _id(self, part: str) -> str:
        """At most 255 characters that are safe in a header, the same on every try."""
        stream = self.shipment.stream
        if not _PLAIN.fullmatch(stream):
            stream = f"{stream.partition(':')[0]}:{hashlib.sha256(stream.encode()).hexdigest()[:32]}"
        return f"{self.shipment.delivery.id}:{stream}:{part}"

    def _context(self) -> dict[str, str]:
        delivery, run = self.shipment.delivery, self.shipment.run
        facts = {
            "Delivery": delivery.id,
            "Generation": str(delivery.generation),
            "Route": delivery.route,
            "Target": delivery.target,
            "Stream": self.shipment.stream,
            "Source": run.source,
            "Run-Id": run.id,
            "Run-Status": run.status,
        }
        return {f"X-Runrelay-{name}": _header(value) for name, value in facts.items()}


def _header(value: str) -> str:
    """Printable ASCII as it is; everything else, and `%`, percent-encoded."""
    return "".join(
        chr(byte) if 0x20 <= byte <= 0x7E and byte != 0x25 else f"%{byte:02X}"
        for byte in value.encode("utf-8", "replace")
    ).strip()
