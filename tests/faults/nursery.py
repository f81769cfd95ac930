"""The process that all others are forked from: it has everything imported, so that a killed worker is back in a tenth
of a second and a run of minutes has room for hundreds of kills.

Run as `python -m tests.faults.nursery`. Reads orders, a JSON line each, and answers each with the pid of its child:

    {"words": ["worker", "--json"], "env": {…}, "log": "…/worker-0.log", "history": "…", "failpoint": "after:take:3"}

The child is the real command with the real arguments. When the nursery ends, Linux ends its children.
"""

import gc
import os
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec

from console.processes import bound_to_us
from tests.faults.history import History


def main() -> None:
    _import_all()
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are buried by the system; who cares watches a pidfd
    print("ready", flush=True)
    while line := sys.stdin.buffer.readline():
        order = msgspec.json.decode(line)
        bind = bound_to_us(signal.SIGKILL)
        if (pid := os.fork()) == 0:
            if bind:
                bind()
            _become(order)
        print(pid, flush=True)


def _import_all() -> None:
    import workers.sinks.file
    import workers.sinks.http
    import workers.sinks.sqlite
    import workers.worker  # noqa: F401  # for the children


def _become(order: dict[str, Any]) -> None:
    """Never returns."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.environ.clear()
        os.environ.update(order["env"])
        _redirect(order["log"])
        code = _run(order)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _redirect(log: str) -> None:
    nothing, out = (os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644))
    os.dup2(nothing, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)


def _run(order: dict[str, Any]) -> int:
    history = Path(order["history"])
    if order["words"][0] == "far-side":
        from tests.faults.far_side import main as serve

        return serve(history, *order["words"][1:])
    from console.cli.main import main as command
    from tests.faults.failpoints import install

    if order["words"][0] != "emulator":
        install(History(history), order.get("failpoint"), history.parent / "fired")
    return command(order["words"])


if __name__ == "__main__":
    main()
