import asyncio
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TextIO

import pytest

from config.contracts.document import Document
from config.contracts.errors import Transient
from config.contracts.reasons import Reason
from config.contracts.sink import Sink
from workers.sinks import stdout
from workers.testing.contract import ALL, PNG, Connect, FarSide, SinkContract, send
from workers.testing.shipments import around, batches, document


class Terminal:
    """What the file descriptor of standard output was given."""

    def __init__(self, capture: pytest.CaptureFixture[bytes]) -> None:
        self.capture = capture
        self.shown = b""

    def text(self) -> bytes:
        self.shown += self.capture.readouterr().out
        return self.shown

    def items(self, run: str) -> list[bytes]:
        """Lines of that run, and lines that do not say whose they are."""
        tag = re.compile(rb'"of":"(?!%s")' % run.encode())
        return [line for line in self.text().split(b"\n")[:-1] if not tag.search(line)]

    def documents(self, run: str) -> list[bytes]:
        return self.text().split(b"\n")[:-1]


class TestStdout(SinkContract):
    module = stdout
    options = stdout.Target()

    @pytest.fixture
    def far_side(self, capfdbinary: pytest.CaptureFixture[bytes]) -> Terminal:
        return Terminal(capfdbinary)

    @pytest.fixture
    def connect(self, tmp_path: Path) -> Connect:
        return lambda: opened(tmp_path)

    def tried_again(self, once: list[bytes], again: list[bytes]) -> list[bytes]:
        """A terminal cannot take back what it showed."""
        return [*once[: once.index(again[-1]) + 1], *again, *once[once.index(again[-1]) + 1 :]]

    async def test_takes_documents_as_they_are(self, connect: Connect, far_side: FarSide) -> None:
        async with connect() as sink:
            taken = await self.send_records(sink)
        assert far_side.documents("r1") == [b'{"a": 1}', b"B-SHOT (image/png, 500000 bytes)"]
        assert [(part.rows, part.out) for part in taken] == [(1, 1), (1, 1)]
        assert len(PNG) == 500_000

    async def test_documents_sent_again_are_there_once(self, connect: Connect, far_side: FarSide) -> None:
        """Not on a terminal: they are shown again."""
        for _ in range(2):
            async with connect() as sink:
                await self.send_records(sink)
        assert far_side.documents("r1") == [b'{"a": 1}', b"B-SHOT (image/png, 500000 bytes)"] * 2

    async def test_every_line_gets_the_prefix(self, tmp_path: Path, far_side: Terminal) -> None:
        async with opened(tmp_path, prefix="> ") as sink:
            await send(sink, self.ship(), batches(ALL[:2], []))
            async with sink.open(self.ship(stream="log"), None) as writer:
                await writer.document(document("log.txt", "text/plain", b"a\nb", b"", b"c\n", b"d"))
        assert far_side.text() == b'> {"n":1}\n> {"n":2}\n> a\n> bc\n> d\n'

    async def test_nothing_is_printed_into_the_middle_of_a_document(self, tmp_path: Path, far_side: Terminal) -> None:
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def chunks() -> AsyncIterator[bytes]:
            yield b"first half, "
            begun.set()
            await go_on.wait()
            yield b"second half"

        log = Document(key="log.txt", content_type="text/plain", size=None, chunks=chunks())
        async with opened(tmp_path) as sink, sink.open(self.ship(stream="log"), None) as writer:
            printing = asyncio.create_task(writer.document(log))
            await begun.wait()
            items = asyncio.create_task(send(sink, self.ship("r2"), batches([b"1"])))
            await asyncio.wait({items}, timeout=0.1)
            go_on.set()
            await asyncio.gather(printing, items)
        assert far_side.text() == b"first half, second half\n1\n"

    @pytest.fixture
    def full(self) -> Iterator[TextIO]:
        with Path("/dev/full").open("w") as full:
            yield full

    async def test_a_reader_that_went_away_is_worth_another_try(
        self, connect: Connect, full: TextIO, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "stdout", full)
        async with connect() as sink:
            with pytest.raises(Transient) as caught:
                await send(sink, self.ship(), batches(ALL))
        assert (caught.value.reason, caught.value.detail) == (
            Reason.TARGET_UNAVAILABLE,
            "standard output cannot be written (ENOSPC)",
        )


def opened(spool: Path, prefix: str = "") -> AbstractAsyncContextManager[Sink]:
    return stdout.connect(stdout.Config(prefix=prefix), around(spool))
