"""A real primary and a real replica of it, both with every write fsynced."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis

from console.embedded import embedded_valkey


@dataclass
class Pair:
    """Attributes: pid: of the replica."""

    primary: Redis
    replica: Redis
    pid: int

    async def silence(self) -> None:
        """The replica stays connected and does nothing any more."""
        os.kill(self.pid, signal.SIGSTOP)

    def wake(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    async def leave(self) -> None:
        await self.replica.slaveof()
        await self.until(0)

    async def until(self, replicas: int) -> None:
        while await self._online() != replicas:
            await asyncio.sleep(0.02)

    async def until_confirmed(self) -> None:
        """Its first word takes a second."""
        await self.primary.set("in-step", "1")
        assert await self.primary.wait(1, 10_000) == 1

    async def _online(self) -> int:
        told = await self.primary.info("replication")
        return [replica["state"] for name, replica in told.items() if name in {"slave0", "slave1"}].count("online")


@asynccontextmanager
async def pair() -> AsyncIterator[Pair]:
    with embedded_valkey() as one, embedded_valkey() as other:
        async with Redis.from_url(one) as primary, Redis.from_url(other) as replica:
            port = free_port()
            await primary.config_set("repl-diskless-sync-delay", 0)
            await primary.config_set("port", port)
            await replica.slaveof("127.0.0.1", str(port))
            both = Pair(primary, replica, int((await replica.info("server"))["process_id"]))
            await both.until(1)
            await both.until_confirmed()
            await primary.config_resetstat()
            try:
                yield both
            finally:
                both.wake()


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])
