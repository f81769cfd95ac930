"""Sinks stay connected while deliveries use them, and a little longer: most of a small delivery would be connecting."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog

from config.contracts.errors import NotYet, Permanent
from config.contracts.sink import Sink, Surroundings
from config.route import SinkSpec
from workers.ledger.ledger import LeaseLost
from workers.progress import SliceOver

#: Seconds for which a sink that nobody uses stays connected.
IDLE = 30.0
#: Seconds a sink has to take its leave.
FAREWELL = 10.0

log = structlog.get_logger("runrelay.worker")


class Connections:
    """The connected sinks of one process, one for each type with the same options."""

    def __init__(self, idle: float = IDLE) -> None:
        self.idle = idle
        self._open: list[_Connection] = []

    @asynccontextmanager
    async def use(self, spec: SinkSpec, around: Surroundings) -> AsyncIterator[Sink]:
        """The sink, shared with whoever else uses it. After an error in here nobody new gets it: it may be broken.

        Raises what connecting raises.
        """
        connection = self._of(spec, around)
        connection.users += 1
        try:
            yield await asyncio.shield(connection.sink)
        except (SliceOver, LeaseLost, NotYet, Permanent):
            raise
        except BaseException:
            self._retire(connection)
            raise
        finally:
            connection.users -= 1
            self._rest(connection)

    async def close(self) -> None:
        """Take leave of all of them."""
        for connection in list(self._open):
            self._retire(connection)
            connection.leave()
            await connection.gone()

    def _of(self, spec: SinkSpec, around: Surroundings) -> "_Connection":
        for connection in self._open:
            if connection.spec.module is spec.module and connection.spec.config == spec.config:
                return connection
        made = _Connection(spec, around)
        self._open.append(made)
        return made

    def _retire(self, connection: "_Connection") -> None:
        if connection in self._open:
            self._open.remove(connection)

    def _rest(self, connection: "_Connection") -> None:
        """Nobody uses it any more, perhaps."""
        if connection.users:
            return
        if connection not in self._open:
            connection.leave()
            return
        moment = connection.used = asyncio.get_running_loop().time()
        asyncio.get_running_loop().call_later(self.idle, self._expire, connection, moment)

    def _expire(self, connection: "_Connection", used: float) -> None:
        if connection.users == 0 and connection.used == used:
            self._retire(connection)
            connection.leave()


class _Connection:
    """One sink in a task of its own: what is entered in one task must be left in the same.

    Attributes:
        sink: done as soon as it is connected, or could not be.
        users: turns that have it now.
        used: when the last of them let it go, by the loop's clock.
    """

    def __init__(self, spec: SinkSpec, around: Surroundings) -> None:
        self.spec = spec
        self.sink: asyncio.Future[Sink] = asyncio.get_running_loop().create_future()
        self.users, self.used = 0, 0.0
        self._over = asyncio.Event()
        self._task = asyncio.create_task(self._keep(around))

    async def _keep(self, around: Surroundings) -> None:
        try:
            async with self.spec.module.connect(self.spec.config, around) as sink:
                self.sink.set_result(sink)
                await self._over.wait()
        except Exception as error:
            self._tell(error)
        finally:
            self.sink.cancel()

    def _tell(self, error: Exception) -> None:
        if self.sink.done():
            log.warning("sink.farewell_failed", sink=self.spec.name, error=type(error).__name__)
            return
        self.sink.set_exception(error)
        self.sink.exception()  # whoever waited for it may have gone

    def leave(self) -> None:
        self._over.set()

    async def gone(self) -> None:
        """Wait until it has taken its leave, or for FAREWELL seconds."""
        with suppress(asyncio.CancelledError):
            await asyncio.wait([self._task], timeout=FAREWELL)
        self._task.cancel()
