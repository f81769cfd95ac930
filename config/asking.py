"""Several commands to Redis in one packet, on one connection, without what redis-py does to each argument in Python."""

from typing import Any

import hiredis
from redis.asyncio import ConnectionPool
from redis.exceptions import ResponseError

#: its name and what it is given: text, bytes or numbers
Command = tuple[Any, ...]


async def ask(pool: ConnectionPool, *commands: Command) -> list[Any]:
    """What the server says to each, in order; a refusal is the ResponseError itself.

    Raises redis.exceptions.RedisError or OSError; then nobody knows which of them were carried out.
    """
    connection = await pool.get_connection()
    try:
        await connection.send_packed_command(b"".join(map(hiredis.pack_command, commands)))
        return [await _answer(connection) for _ in commands]
    except BaseException:  # an answer may still be on its way, and must not be taken for that to another command
        await connection.disconnect(nowait=True)
        raise
    finally:
        await pool.release(connection)


async def _answer(connection: Any) -> Any:
    try:
        return await connection.read_response(disconnect_on_error=False)
    except ResponseError as refusal:
        return refusal
