"""Makes a process of ours kill itself at one step, and tell the history what it holds. The product knows nothing of it:
its functions are wrapped from outside, in the child, before its command begins.

A failpoint is written `when:step:n`: `before`, `during` or `after` the n-th time the process comes to that step.
`during` leaves right after the request is on its way, so that nobody knows whether it was heard.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Any

from tests.faults.history import History

#: Steps of the receiver, of the ledger (each a script), of a part file on its way, of a batch of rows (`rows.inside`:
#: in the transaction, before it is committed), and of a request to a far side.
DOOR = ("commit",)
LEDGER = ("take", "renew", "checkpoint", "hand_back", "finish", "plan", "sweep")
FILE = ("part.write", "part.sync", "part.rename", "part.folder")
ROWS = ("rows.write", "rows.inside")
HTTP = ("http.post",)
#: What a worker comes to.
STEPS = (*LEDGER, *FILE, *ROWS, *HTTP)
#: `during` means something only where an answer is waited for.
WHENS = {
    **dict.fromkeys((*DOOR, *LEDGER, *HTTP), ("before", "during", "after")),
    **dict.fromkeys((*FILE, *ROWS), ("before", "after")),
}

#: Seconds until a request has left us, and its answer has not come.
_ON_ITS_WAY = 0.0005

AsyncCall = Callable[..., Awaitable[Any]]
Call = Callable[..., Any]


class Failpoint:
    """Counts how often a step is come to, and ends the process at the n-th."""

    def __init__(self, spec: str, fired: Callable[[], None]) -> None:
        self.when, self.step, nth = spec.split(":")
        self.left = int(nth.partition(".")[0])
        self.fired = fired

    def reached(self, step: str) -> bool:
        if step != self.step:
            return False
        self.left -= 1
        return self.left == 0

    def die(self) -> None:
        self.fired()
        os.kill(os.getpid(), signal.SIGKILL)

    async def around(self, step: str, call: Callable[[], Awaitable[Any]]) -> Any:
        if not self.reached(step):
            return await call()
        if self.when == "before":
            self.die()
        work = asyncio.ensure_future(call())
        await asyncio.wait([work], timeout=_ON_ITS_WAY if self.when == "during" else None)
        self.die()
        return None

    def about(self, step: str, call: Callable[[], Any]) -> Any:
        if not self.reached(step):
            return call()
        try:
            if self.when == "after":
                call()
        finally:
            self.die()


def install(history: History, spec: str | None, folder: Path) -> None:
    """Wrap what this process is going to run. `folder`: gets a file named like the failpoint once it fires."""

    def fired() -> None:
        history.tell("fired", point=spec, pid=os.getpid())
        (folder / str(spec)).touch()

    _watch_leases(history)
    if spec:
        _wrap_steps(Failpoint(spec, fired))


def _wrap_steps(point: Failpoint) -> None:
    from config.queue import RunQueue
    from workers import staging
    from workers.ledger.ledger import Ledger
    from workers.sinks._table import Table
    from workers.sinks.http import HttpSink

    def named(run: AsyncCall) -> AsyncCall:
        @wraps(run)
        async def stepped(ledger: Ledger, name: str, *args: Any, **more: Any) -> Any:
            return await point.around(name, lambda: run(ledger, name, *args, **more))

        return stepped

    _replace(Ledger, "run", named)
    _replace(RunQueue, "_commit", _stepping(point, "commit"))
    _replace(HttpSink, "post", _stepping(point, "http.post"))
    _replace(Table, "write", _blocking(point, "rows.write"))
    _replace(Table, "_reach", _blocking(point, "rows.inside"))
    _replace(staging.PartFile, "_write", _blocking(point, "part.write"))
    _replace(staging.PartFile, "_sync", _blocking(point, "part.sync"))
    _replace(Path, "replace", _blocking(point, "part.rename", lambda path: path.name.endswith(".part")))
    _replace(staging, "sync_folder", _blocking(point, "part.folder"))


def _watch_leases(history: History) -> None:
    """Who was woken for what, who works on it, and until when: what tells how long a killed worker's work lay still."""
    from arq.worker import Worker

    from workers.ledger.ledger import Ledger

    def taking(take: AsyncCall) -> AsyncCall:
        @wraps(take)
        async def told(ledger: Ledger, record_id: str, *args: Any, **more: Any) -> Any:
            taken = await take(ledger, record_id, *args, **more)
            if taken:
                history.tell("took", id=record_id, kind=taken[0].kind, fence=taken[0].token, pid=os.getpid())
            return taken

        return told

    def giving(give: AsyncCall) -> AsyncCall:
        @wraps(give)
        async def told(ledger: Ledger, lease: Any, *args: Any, **more: Any) -> Any:
            result = await give(ledger, lease, *args, **more)
            history.tell("gave", id=lease.id, kind=lease.kind, fence=lease.token, pid=os.getpid())
            return result

        return told

    def waking(run_job: AsyncCall) -> AsyncCall:
        @wraps(run_job)
        async def told(worker: Worker, job_id: str, *args: Any) -> Any:
            history.tell("woke", id=job_id.partition(":")[0], pid=os.getpid())
            return await run_job(worker, job_id, *args)

        return told

    _replace(Worker, "run_job", waking)
    for name in ("take_event", "take_delivery", "take_after"):
        _replace(Ledger, name, taking)
    for name in ("finish", "hand_back", "plan"):
        _replace(Ledger, name, giving)


def _stepping(point: Failpoint, step: str) -> Callable[[AsyncCall], AsyncCall]:
    def wrap(call: AsyncCall) -> AsyncCall:
        @wraps(call)
        async def stepped(*args: Any, **more: Any) -> Any:
            return await point.around(step, lambda: call(*args, **more))

        return stepped

    return wrap


def _blocking(point: Failpoint, step: str, which: Call = lambda *_: True) -> Callable[[Call], Call]:
    def wrap(call: Call) -> Call:
        @wraps(call)
        def stepped(*args: Any, **more: Any) -> Any:
            if not which(args[0]):
                return call(*args, **more)
            return point.about(step, lambda: call(*args, **more))

        return stepped

    return wrap


def _replace(owner: Any, name: str, wrap: Callable[[Any], Any]) -> None:
    """Raises AttributeError if the product has no such step any more: then this module has to learn the new one."""
    setattr(owner, name, wrap(getattr(owner, name)))
