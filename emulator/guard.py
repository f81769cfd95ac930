"""Stands between the emulator and one Actor, so that a killed emulator leaves no process behind.

Run as a script: `python -I -S guard.py PARENT_PID COMMAND…`, as the leader of its own process group. When the parent
dies, Linux sends this process SIGTERM and the whole group goes. Exits with the command's code, 128 + n after signal n.
"""

import ctypes
import os
import signal
import subprocess
import sys
from types import FrameType

_PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> int:
    """Run the command to its end."""
    signal.signal(signal.SIGTERM, _end_group)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before the line above
        _end_group()
    try:
        code = subprocess.Popen(command).wait()  # noqa: S603 - the command comes from an actor.yaml
    except OSError as error:
        print(f"Cannot start {command[0]}: {error.strerror}", file=sys.stderr)
        return 127
    return code if code >= 0 else 128 - code


def _end_group(number: int = 0, frame: FrameType | None = None) -> None:
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
