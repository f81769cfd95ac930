"""Threads for code that may never return: somebody's own. Nobody has to wait for them, not even the process to end."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class StillRunning(Exception):
    """As many calls as may be were given up, and have not returned."""


class Apart:
    """Each call has a daemon thread of its own. Those of `asyncio.to_thread` are few and shared by all: calls that hang
    would take them from everybody, and the process waits for them before it ends.

    most: calls of one name that may go on after whoever waited for them has given up. To be used in one event loop.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._given_up: dict[str, list[Future[object]]] = {}

    async def call(self, name: str, work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        """Raises what `work` raises, or StillRunning. Who is cancelled leaves the thread behind."""
        left = self._given_up[name] = [call for call in self._given_up.get(name, ()) if not call.done()]
        if len(left) >= self._most:
            raise StillRunning
        begun: Future[T] = Future()
        begun.set_running_or_notify_cancel()
        context = contextvars.copy_context()

        def body() -> None:
            try:
                result = context.run(work, *args, **named)
            except BaseException as exc:  # it is raised where the call is awaited
                begun.set_exception(exc)
            else:
                begun.set_result(result)

        threading.Thread(target=body, name=name, daemon=True).start()
        try:
            return await asyncio.wrap_future(begun)
        except asyncio.CancelledError:
            if not begun.done():
                self._given_up[name].append(begun)  # type: ignore[arg-type]  # whatever it returns, nobody looks at it
            raise
