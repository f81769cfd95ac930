"""What a sink promises that talks to a server: every trouble with it has its verdict, soon, and tells no secret.

Inherit `ServerContract` beside `SinkContract` and give it three more fixtures, each a `Connect`:

- `down`: nobody listens there;
- `refused`: the real server, and credentials it refuses, in which the secret is `SECRET`;
- `silent`: somebody takes connections there and never answers (`silent_server` is one).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pydantic import BaseModel

from config.contracts.errors import Transient, Unauthorized, WorkError
from workers.testing.contract import THREE, Connect, send
from workers.testing.shipments import batches, shipment

#: A wrong password for `refused`; no message may tell it.
SECRET = "a-wrong-secret-0123456789"
#: Seconds after which a step with a server that says nothing has come to its end; a turn is longer.
PATIENCE = 60.0


class ServerContract:
    """`options` as in `SinkContract`."""

    options: BaseModel

    async def test_a_server_that_is_down_is_worth_another_try(self, down: Connect) -> None:
        error = await self.trouble(down)
        assert isinstance(error, Transient)

    async def test_refused_credentials_pause_the_target(self, refused: Connect) -> None:
        error = await self.trouble(refused)
        assert isinstance(error, Unauthorized)

    async def test_a_server_that_says_nothing_holds_nobody(self, silent: Connect) -> None:
        async with asyncio.timeout(PATIENCE):
            error = await self.trouble(silent)
        assert isinstance(error, Transient)

    async def trouble(self, connect: Connect) -> WorkError:
        """What a delivery raises there: one line that tells no secret."""
        with pytest.raises(WorkError) as raised:
            async with connect() as sink:
                await send(sink, shipment(self.options), batches(*THREE))
        error = raised.value
        assert error.detail
        assert "\n" not in error.detail
        assert SECRET not in str(error)
        return error


@asynccontextmanager
async def silent_server() -> AsyncIterator[int]:
    """The port of a server on 127.0.0.1 that reads everything and says nothing."""

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1 << 16):
            pass
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
