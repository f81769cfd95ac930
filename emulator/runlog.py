"""Logs of runs: every line stamped, capped, and readable while it grows (Apify API, "Get log")."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from emulator.stamps import stamp

MAX_CHARACTERS = 10_485_760
_MAX_LINE = 64 * 1024
_PIECE = 64 * 1024
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


class RunLog:
    """The log of a run that is alive. Lines are written whole."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._left = MAX_CHARACTERS - (len(path.read_text("utf-8", "replace")) if path.exists() else 0)
        self._file = path.open("ab")
        self._partial = b""
        self._grown = asyncio.Event()

    def feed(self, data: bytes) -> None:
        """Take output of the Actor; a line is kept back until it ends or grows past 64 KiB."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > _MAX_LINE:
            lines.append(self._partial)
            self._partial = b""
        self._write([line.removesuffix(b"\r").decode("utf-8", "replace") for line in lines])

    def say(self, text: str) -> None:
        """Write a line of the platform itself."""
        self._end_partial()
        self._write([f"ACTOR: {text}"])

    def close(self) -> None:
        """Write what is left; those who follow the log come to its end."""
        self._end_partial()
        self._file.close()
        self._grown.set()

    async def follow(self) -> AsyncIterator[list[str]]:
        """All lines, and then those to come, until the run has ended."""
        with self.path.open("rb") as file:
            while True:
                if lines := file.readlines(_PIECE):
                    yield [line.decode() for line in lines]
                elif self._file.closed:
                    return
                else:
                    await self._grown.wait()

    def _end_partial(self) -> None:
        if self._partial:
            self.feed(b"\n")

    def _write(self, lines: list[str]) -> None:
        if not lines:
            return
        now = stamp()
        text = "".join(f"{now} {line}\n" for line in lines)
        if len(text) > self._left:
            text = text[: text.rfind("\n", 0, max(0, self._left)) + 1]
            self._left = len(text)
        self._left -= len(text)
        self._file.write(text.encode("utf-8", "replace"))
        self._file.flush()
        self._grown.set()
        self._grown = asyncio.Event()


class Logs:
    """The logs below one folder, by run id."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._live: dict[str, RunLog] = {}

    def open(self, run_id: str) -> RunLog:
        """Write to a run's log, after what it may already hold."""
        log = self._live[run_id] = RunLog(self._path(run_id))
        return log

    def close(self, run_id: str) -> None:
        """The run has ended."""
        if log := self._live.pop(run_id, None):
            log.close()

    def delete(self, run_id: str) -> None:
        """Remove a run's log."""
        self._path(run_id).unlink(missing_ok=True)

    def follow(self, run_id: str) -> AsyncIterator[list[str]] | None:
        """The lines of a live run until it ends; None if it is over."""
        log = self._live.get(run_id)
        return log.follow() if log else None

    def read(self, run_id: str) -> Iterator[list[str]]:
        """The lines so far."""
        path = self._path(run_id)
        if not path.exists():
            return
        with path.open("rb") as file:
            while lines := file.readlines(_PIECE):
                yield [line.decode("utf-8", "replace") for line in lines]  # a line may be half written

    def _path(self, run_id: str) -> Path:
        return self._root / f"{run_id}.log"


def without_colours(text: str) -> str:
    """The text without ANSI escape codes, as logs are given unless `raw=1`."""
    return _ANSI.sub("", text)
