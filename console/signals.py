"""Running something until it is done, or until somebody says stop."""

import asyncio
import signal
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` that SIGINT, SIGTERM and a closed terminal end in order, also where a shell had SIGINT ignored: the
    first one cancels, the second one waits for nobody. Signals reach the main thread only; in another one it is
    `asyncio.run`.

    Raises KeyboardInterrupt if it was ended like that.
    """
    if threading.current_thread() is not threading.main_thread():
        return asyncio.run(main)
    told: list[int] = []

    async def ended_in_order() -> T | None:
        work = asyncio.ensure_future(main)
        loop = asyncio.get_running_loop()

        def tell(number: int) -> None:
            if told:
                raise KeyboardInterrupt
            told.append(number)
            work.cancel()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, tell, number)
        try:
            return await work
        except asyncio.CancelledError:
            if not told:
                raise
            return None

    result = asyncio.run(ended_in_order())
    if result is None and told:
        raise KeyboardInterrupt
    return result  # type: ignore[return-value]  # None is told from a T of None by `told`
