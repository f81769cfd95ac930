"""What a command says when it cannot do what it was asked."""

from config.contracts.errors import RunrelayError


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
