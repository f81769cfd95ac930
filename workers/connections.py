"""Sinks stay connected while deliveries use them, and a little longer: most of a small delivery would be connecting."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from redis.exceptions import RedisError

from config.contracts.errors import Unauthorized, WorkError
from config.contracts.reasons import Reason
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
        """The sink, shared with whoever else uses it.

        After the far side was in trouble it is left as soon as nobody uses it: what it holds may be broken, but most
        sinks mend that themselves, and each connection more would burden a server that is in trouble. After refused
        credentials, a step that was cut off or a bug nobody new gets it. Raises what connecting raises.
        """
        connection = self._of(spec, around)
        connection.users += 1
        try:
            yield await asyncio.shield(connection.sink)
        except (SliceOver, LeaseLost, RedisError):
            raise
        except WorkError as error:
            if isinstance(error, Unauthorized) and error.reason is Reason.TOKEN_REFUSED:
                self._retire(connection)
            connection.worn = connection.worn or error.reason is Reason.TARGET_UNAVAILABLE
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
        if connection.worn or not connection.connected or connection not in self._open:
            self._retire(connection)
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
        worn: whether its far side was in trouble.
    """

    def __init__(self, spec: SinkSpec, around: Surroundings) -> None:
        self.spec = spec
        self.sink: asyncio.Future[Sink] = asyncio.get_running_loop().create_future()
        self.users, self.used, self.worn = 0, 0.0, False
        self._over = asyncio.Event()
        self._task = asyncio.create_task(self._keep(around))

    async def _keep(self, around: Surroundings) -> None:
        try:
            async with asyncio.timeout(None) as limit, self.spec.module.connect(self.spec.config, around) as sink:
                self.sink.set_result(sink)
                await self._over.wait()
                limit.reschedule(asyncio.get_running_loop().time() + FAREWELL)
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

    @property
    def connected(self) -> bool:
        return self.sink.done() and not self.sink.cancelled() and self.sink.exception() is None

    def leave(self) -> None:
        """Begin to; if it is not even connected, stop trying."""
        self._over.set()
        if not self.sink.done():
            self._task.cancel()

    async def gone(self) -> None:
        """Wait until it has taken its leave."""
        await asyncio.wait([self._task])
