"""A table that blocks, as a writer that does not."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from config.contracts.document import Document
from config.contracts.errors import WorkError
from config.contracts.sink import Batch, Taken
from workers.sinks._table import Table
from workers.staging import disk_verdict

T = TypeVar("T")
E = TypeVar("E", bound=Exception)


class TableWriter(Generic[E]):
    """One stream. Its connection lives in a thread of its own: it may have to wait for the lock of the file, and a call
    that is cancelled comes to its end before the next one begins.

    error: the root of the database's errors. verdict: what one means, given the file's name.
    """

    def __init__(self, table: Table, error: type[E], verdict: Callable[[E, str], WorkError]) -> None:
        self.table, self.error, self.verdict = table, error, verdict
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="table")

    @property
    def position(self) -> dict[str, Any] | None:
        return self.table.position

    async def items(self, batch: Batch) -> Taken:
        return await self.run(lambda: self.table.write(batch))

    async def document(self, document: Document) -> Taken:
        raise TypeError("a table holds no documents")

    async def publish(self) -> Taken:
        return await self.run(self.table.end)

    async def run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self.thread, work)
        except self.error as exc:
            raise self.verdict(exc, self.table.path.name) from exc
        except OSError as exc:
            raise disk_verdict(exc) from exc

    async def close(self) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self.thread, self.table.close)
        finally:
            self.thread.shutdown(wait=False)
