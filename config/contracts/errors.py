"""Every error of ours, drawn once. The class is the verdict: it answers "what happens next?".

RunrelayError
├── ConfigInvalid       the file or the environment cannot be used; nothing starts (exit code 78)
├── Refused             the receiver says no to a request; nothing was stored
└── WorkError           planning or delivering did not come to its end
    ├── NotYet          nothing is wrong, it is too early: come back at the same place; not an attempt
    ├── Transient       worth another try, perhaps after `retry_after`
    ├── Unauthorized    credentials were refused: pause and tell somebody; the data waits
    │   └── Forbidden   they are good, but not for this
    ├── Superseded      something newer has taken its place: nothing is left to do
    └── Permanent       another try cannot help; goes to the dead letters
        └── NotFound    the platform does not know what we asked for
"""

from collections.abc import Mapping, Sequence

from config.contracts.kinds import Kind
from config.contracts.problem import Problem
from config.contracts.reasons import Reason


class RunrelayError(Exception):
    """The root of everything we raise on purpose."""


class ConfigInvalid(RunrelayError):
    """The configuration cannot be used.

    Attributes:
        problems: everything found wrong, in file order, never just the first.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class Refused(RunrelayError):
    """A request the receiver does not take. Its message never repeats input or secrets: the platform stores it.

    Attributes:
        kind: the word of the answer; it fixes the HTTP status.
        message: what the sender can do about it.
        headers: extra answer headers such as `Retry-After` or `Allow`.
    """

    def __init__(self, kind: Kind, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(kind, message)
        self.kind = kind
        self.message = message
        self.headers = dict(headers or {})


class WorkError(RunrelayError):
    """Planning or delivering stopped before its end.

    Attributes:
        reason: the stable word.
        detail: one line for people; no secrets, no item content.
    """

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else str(self.reason)


class NotYet(WorkError):
    """Too early, for instance before the platform's counts have settled. Costs no attempt.

    Attributes:
        wait: seconds after which to look again.
    """

    def __init__(self, reason: Reason, detail: str = "", *, wait: float) -> None:
        super().__init__(reason, detail)
        self.wait = wait


class Transient(WorkError):
    """Worth another try.

    Attributes:
        retry_after: seconds the far side asked us to wait; None if it did not say.
    """

    def __init__(self, reason: Reason, detail: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(reason, detail)
        self.retry_after = retry_after


class Unauthorized(WorkError):
    """The far side refused our credentials. No retry schedule helps; a person does."""


class Forbidden(Unauthorized):
    """Our credentials are good, but not for this."""


class Superseded(WorkError):
    """Something newer has taken its place."""


class Permanent(WorkError):
    """Another try cannot help."""


class NotFound(Permanent):
    """The platform answered that it does not know the thing. Whether that is final, the caller decides."""
