"""Acting out a script: to its run it looks like a process."""

import asyncio
from collections.abc import AsyncIterator

import msgspec

from emulator.documents import Document
from emulator.process import KILLED, Exit
from emulator.pushing import push_rows
from emulator.runlog import RunLog
from emulator.scripts import Script
from emulator.storages import Storages


class Performance:
    """One script being acted out for one run."""

    def __init__(self, script: Script, run: Document, storages: Storages, log: RunLog) -> None:
        self._script, self._run, self._storages, self._log = script, run, storages, log
        self._killed = asyncio.Event()

    async def wait(self) -> Exit:
        """Leave everything, stay, and end."""
        script = self._script
        self._log.feed("".join(f"{line}\n" for line in script.log).encode())
        self._leave_items()
        await self._leave_records()
        self._leave_requests()
        try:
            await asyncio.wait_for(self._killed.wait(), script.seconds)
            return Exit(KILLED)
        except TimeoutError:
            return Exit(script.code, script.status, script.status_message)

    def kill(self) -> None:
        """End it where it stands."""
        self._killed.set()

    def _leave_items(self) -> None:
        dataset = self._storages.find("dataset", self._run["defaultDatasetId"])
        if dataset is None:
            return
        if self._script.items:
            push_rows(self._storages, dataset, [msgspec.json.encode(item) for item in self._script.items])
        if self._script.rows and not self._storages.datasets.count(dataset["id"]):  # an earlier life made them
            self._storages.datasets.generate(dataset["id"], self._script.rows, self._script.item)

    async def _leave_records(self) -> None:
        store = self._run["defaultKeyValueStoreId"]
        for key, value in self._script.records.items():
            is_text = isinstance(value, str)
            body = value.encode() if is_text else msgspec.json.encode(value)
            kind = "text/plain; charset=utf-8" if is_text else "application/json; charset=utf-8"
            await self._storages.records.put(store, key, kind, _once(body))

    def _leave_requests(self) -> None:
        queue = self._run["defaultRequestQueueId"]
        for given in self._script.requests:
            request = {"url": given, "uniqueKey": given} if isinstance(given, str) else given
            self._storages.queues.add(queue, {"uniqueKey": request.get("url"), **request}, forefront=False)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
