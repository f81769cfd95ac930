"""Processes that die without a word while they deliver; run as a program by `workers.testing.killed`.

Each delivery has a small ledger of its own in a file: which batch is next and the sink's position. Like the real one it
is written after the far side has a batch, and a successor knows nothing else.
"""

import asyncio
import importlib
import json
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Timer
from typing import Any

from config.contracts.errors import Transient
from config.contracts.sink import Shipment, Writer
from workers.testing.shipments import around, batches, shipment

#: 2,000 items in four batches: enough for a batch to take a moment.
BATCHES = [[b'{"n":%d,"text":"%s"}' % (500 * part + n, b"x" * 200) for n in range(500)] for part in range(4)]
#: Where the first process is killed. `2 ms into …`: so long after the call has begun.
MOMENTS = (
    "before anything is written",
    "before the first batch is known",
    "when the first batch is known",
    "before the third batch is known",
    "1 ms into the third batch",
    "4 ms into the third batch",
    "16 ms into the third batch",
    "before publishing",
    "1 ms into publishing",
    "4 ms into publishing",
    "after publishing",
)
_NTH = ("first", "second", "third", "fourth")
#: Tries of the successor: the dead one's locks and sessions may take a moment to go.
_TRIES = 60


class Ledger:
    """Survives its process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        held = json.loads(path.read_text()) if path.exists() else {}
        self.batch: int = held.get("batch", 0)
        self.position: dict[str, Any] | None = held.get("position")

    def save(self, batch: int, position: dict[str, Any] | None) -> None:
        self.batch, self.position = batch, position
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps({"batch": batch, "position": position}))
        new.replace(self.path)


def main() -> None:
    told = json.load(sys.stdin)
    importlib.import_module(told["module"])  # here, so that not each of the forks takes its time for it
    for number, moment in enumerate(MOMENTS):
        ended = _in_a_process(partial(_deliver, told, number, moment))
        # What is over in less than the time it was given is not killed: nothing is left to be broken.
        assert ended == -signal.SIGKILL or (ended == 0 and "ms into" in moment), f"{moment}: {ended}"
        assert _in_a_process(partial(_deliver, told, number, "")) == 0, f"the successor of {moment}"


def _in_a_process(work: Callable[[], None]) -> int:
    """The exit code of a fork that works; minus the signal it was killed by."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        work()
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(1)
    os._exit(0)


def _deliver(told: dict[str, Any], number: int, moment: str) -> None:
    asyncio.run(_try(told, number, moment))


async def _try(told: dict[str, Any], number: int, moment: str) -> None:
    module = importlib.import_module(told["module"])
    config, options = module.Config.model_validate(told["settings"]), module.Target.model_validate(told["options"])
    shipped = shipment(options, run=f"r-{number}", unsure=not moment)
    for left in reversed(range(_TRIES)):
        try:
            async with module.connect(config, around(Path(told["spool"]))) as sink:
                await _ship(sink, shipped, Ledger(Path(told["spool"]) / f"ledger-{number}.json"), moment)
            return
        except Transient:
            if not left:
                raise
            await asyncio.sleep(0.25)


async def _ship(sink: Any, shipped: Shipment, ledger: Ledger, moment: str) -> None:
    async with sink.open(shipped, ledger.position) as writer:
        if ledger.position is not None and writer.position is None:
            ledger.save(0, None)
        _die(moment, "before anything is written")
        for batch in batches(*BATCHES)[ledger.batch :]:
            taken = await _timed(moment, f"the {_NTH[batch.index]} batch", writer.items(batch))
            _die(moment, f"before the {_NTH[batch.index]} batch is known")
            ledger.save(batch.index + 1, taken.position)
            _die(moment, f"when the {_NTH[batch.index]} batch is known")
        _die(moment, "before publishing")
        await _timed(moment, "publishing", _publish(writer))
        _die(moment, "after publishing")


async def _publish(writer: Writer) -> Any:
    return await writer.publish()


async def _timed(moment: str, doing: str, work: Any) -> Any:
    """Carry it out, and be killed in the middle of it if that is the moment."""
    ms, _, into = moment.partition(" ms into ")
    if into != doing:
        return await work
    timer = Timer(int(ms) / 1000, _killed)
    timer.start()
    done = await work
    timer.cancel()
    return done


def _die(moment: str, here: str) -> None:
    if moment == here:
        _killed()


def _killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
