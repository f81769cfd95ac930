"""A routes file that changes is read anew while the process runs. One with a mistake in it, or with a test that fails,
changes nothing.

Looked at are the file, what it includes, the `.env` beside it and what `${file:NAME}` names. The process's own
variables never change.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TypeVar

import structlog
from prometheus_client import Gauge

from config import logs
from config.apart import Apart, StillRunning
from config.contracts.errors import ConfigInvalid
from config.contracts.problem import Problem
from config.environment import Environment
from config.footprint import Looked, Seen, seen
from config.routes import RouteTable, load

log = structlog.get_logger("runrelay.config")

#: Seconds between two looks at the files. What changed is read once it has stayed as it is for one look.
PAUSE = 2.0
#: Seconds that reading a file may take, which imports the functions it names.
READING = 60.0
#: Seconds that the tests of a file may take.
PATIENCE = 60.0
#: Of earlier changes, what never ended while the next one is read and tried. Each holds a thread.
MOST_HANGING = 3
#: Most problems of one file that are logged.
MOST_TOLD = 20

RELOADED = Gauge("runrelay_config_reload_success", "Whether runrelay.yaml as it is now is the one at work.")

Swap = Callable[[RouteTable], None]
Prove = Callable[[RouteTable], None]
T = TypeVar("T")


def _unproven(table: RouteTable) -> None:
    """For those whose work no test is about."""


class Watch:
    """Looks after the files one table was made of.

    prove: runs the tests of a table. It may take its time, or never end: it has a thread. Raises ConfigInvalid.
    """

    def __init__(self, table: RouteTable, prove: Prove = _unproven) -> None:
        #: why the files as they are now cannot be used, for people; empty if they can
        self.problem = ""
        self._file, self._environment, self._prove = table.file, table.environment, prove
        self._seen: dict[Looked, Seen] = {}
        self._asked = asyncio.Event()
        self._apart = Apart(MOST_HANGING)
        RELOADED.set(1)

    def ask(self) -> None:
        """Read everything now, whether or not it seems to have changed."""
        self._asked.set()

    async def forever(self, swap: Swap) -> None:
        """Until cancelled, `swap` is called with each table that replaces the one before. It must not wait for
        anything: between two steps of the event loop everything is of one table."""
        while True:
            await self._change()
            self._asked.clear()
            await self._reload(swap)

    async def _change(self) -> None:
        """Wait until something is another, and not still being written; or until somebody asks."""
        before = None
        while not self._asked.is_set():
            now = self._footprints()
            if before == now != self._known():
                return
            before = now
            with suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), PAUSE)

    def _known(self) -> dict[Looked, Seen]:
        """The files as they were when read: in the last try, or since then for what is under way."""
        return {**self._environment.looked_at, **self._seen}

    def _footprints(self) -> dict[Looked, Seen]:
        return {what: seen(what) for what in self._known()}

    async def _reload(self, swap: Swap) -> None:
        self._seen = found = self._footprints()
        try:
            table = await self._ended("reading it takes", READING, self._apart.call("read", self._read, found))
            logs.add_secret(*table.secrets)
            await self._ended("the tests take", PATIENCE, self._apart.call("prove", self._prove, table))
            swap(table)
        except ConfigInvalid as exc:
            self.problem = str(exc.problems[0])
            _tell(exc.problems)
        except Exception as exc:  # of a plugin; its words and its traceback may hold a secret nobody told us about
            self.problem = f"{self._file}: {type(exc).__name__}"
            log.error("config.reload_failed", file=str(self._file), error=type(exc).__name__)
        else:
            self._environment, self._seen = table.environment, {}
            self.problem = ""
            RELOADED.set(1)
            log.info("config.reloaded", file=str(self._file), routes=len(table.routes), sources=list(table.sources))
            for warning in table.warnings:
                log.warning("config.warned", problem=str(warning))
            return
        RELOADED.set(0)

    async def _ended(self, what: str, patience: float, call: Awaitable[T]) -> T:
        """Raises ConfigInvalid also if it does not end: somebody's own code may do anything."""
        try:
            async with asyncio.timeout(patience) as limit:
                return await call
        except TimeoutError:
            if not limit.expired():
                raise
            message = f"{what} longer than {patience:g} s"
        except StillRunning:
            message = f"{MOST_HANGING} earlier changes never ended, each holds a thread: mend the file, then restart"
        raise ConfigInvalid([Problem(message, str(self._file))])

    def _read(self, found: dict[Looked, Seen]) -> RouteTable:
        """Notes in `found` what was looked at. Raises ConfigInvalid."""
        environment = Environment.beside(self._file)
        try:
            return load(self._file, environment)
        finally:
            found.update(environment.looked_at)


def _tell(problems: Sequence[Problem]) -> None:
    for problem in problems[:MOST_TOLD]:
        log.error("config.reload_failed", problem=str(problem))
    if len(problems) > MOST_TOLD:
        log.error("config.reload_failed", more=len(problems) - MOST_TOLD, hint="`runrelay check` says all of them")


@asynccontextmanager
async def watching(watch: Watch, swap: Swap) -> AsyncIterator[None]:
    """Meanwhile `swap` gets each table that replaces the one before."""
    looking = asyncio.create_task(watch.forever(swap))
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


@contextmanager
def hearing_hangups(heard: Callable[[], None]) -> Iterator[None]:
    """SIGHUP calls `heard`, unless it says that the terminal we were started in is gone: that is SIGTERM."""
    at_terminal = _at_terminal()

    def told() -> None:
        if at_terminal and not _at_terminal():
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            heard()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, told)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)


def _at_terminal() -> bool:
    return any(os.isatty(stream) for stream in (0, 1, 2))
