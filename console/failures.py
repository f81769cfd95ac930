"""What a command says when it cannot do what it was asked."""

import re

from config.contracts.errors import RunrelayError, WorkError

_STATUS = re.compile(r"HTTP (\d{3}) ")


class CommandFailed(RunrelayError):
    """The command ends with 1.

    Attributes:
        kind: one snake_case word for scripts.
        message: what is wrong and what to do about it; no secrets.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


def status_of(error: WorkError) -> int:
    """The status of the answer the platform refused us with, as the detail begins; 0 if it gave none."""
    found = _STATUS.match(error.detail)
    return int(found[1]) if found else 0
