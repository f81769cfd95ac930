"""The folder of a file sink, looked at without asking the sink; and short ways to use one."""

import gzip
import hashlib
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from config.contracts.document import Document
from config.contracts.sink import Shipment, Sink
from workers.routing.expressions import Template
from workers.sinks import file
from workers.testing.shipments import around, shipment


class Folder:
    """What a reader of the folder finds: only names that do not begin with a dot or end in `.part`."""

    def __init__(self, base: Path) -> None:
        self.base = base

    def items(self, run: str) -> list[bytes]:
        plain, packed = self.base / f"{run}.jsonl", self.base / f"{run}.jsonl.gz"
        if packed.exists():
            return gzip.decompress(packed.read_bytes()).split(b"\n")[:-1]
        return plain.read_bytes().split(b"\n")[:-1]

    def documents(self, run: str) -> list[bytes]:
        return [path.read_bytes() for path in sorted((self.base / run).iterdir())]

    def everything(self) -> list[str]:
        return sorted(str(path.relative_to(self.base)) for path in self.base.rglob("*") if path.is_file())


def opened(base: Path, spool: Path) -> AbstractAsyncContextManager[Sink]:
    return file.connect(file.Config(base=base), around(spool))


def at(path: str) -> file.Target:
    return file.Target(path=Template(path))


def records(path: str) -> Shipment:
    return shipment(at(path), stream="records")


async def keep(sink: Sink, stream: str, kept: Document) -> None:
    async with sink.open(shipment(file.Target(), stream=stream), None) as writer:
        await writer.document(kept)
        await writer.publish()


def part_of(name: str) -> str:
    return f"{name}.{shipment(file.Target()).delivery.id[:16]}-g0.part"


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
