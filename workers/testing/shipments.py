"""Runs, deliveries, batches and documents for sinks to take."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from config.contracts.api import Api
from config.contracts.delivery import Delivery, delivery_id
from config.contracts.document import Document
from config.contracts.run import Run
from config.contracts.sink import Batch, Shipment, Surroundings
from config.contracts.source import Source


def around(spool: Path) -> Surroundings:
    """What a worker lends, without a source."""

    def no_source(name: str) -> tuple[Source, Api]:
        raise KeyError(name)

    return Surroundings(spool, no_source)


def shipment(
    options: BaseModel,
    *,
    run: str = "r1",
    stream: str = "items:default",
    generation: int = 0,
    route: str = "all",
    fields: dict[str, Any] | None = None,
    unsure: bool = False,
    life: str = "2026-03-01T10:00:00.000Z",
    source: str = "platform",
    **scope: Any,
) -> Shipment:
    about = Run(
        id=run,
        source=source,
        status="SUCCEEDED",
        terminal=True,
        life=life,
        finished=1.0,
        account="me",
        fields=fields or {},
    )
    delivery = Delivery(
        id=delivery_id(source, run, life, route, "out", generation),
        event_id="e",
        source=source,
        run_id=run,
        life=life,
        route=route,
        target="out",
        sink="out",
        generation=generation,
        cfg="c",
        streams=(stream,),
    )
    seen = {"run": {"id": run, "status": "SUCCEEDED", "finishedAt": life}, **scope}
    return Shipment(delivery=delivery, stream=stream, run=about, scope=seen, options=options, unsure=unsure)


def batches(*lists: list[bytes]) -> list[Batch]:
    """Consecutive batches that begin at row 0."""
    made, offset = [], 0
    for index, items in enumerate(lists):
        lines = b"".join(item + b"\n" for item in items)
        made.append(Batch(index=index, offset=offset, lines=lines, count=len(items)))
        offset += len(items)
    return made


def document(key: str, content_type: str, *chunks: bytes) -> Document:
    async def stream() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return Document(key=key, content_type=content_type, size=sum(map(len, chunks)), chunks=stream())
