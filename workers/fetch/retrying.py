"""Whether one request is made again, and when."""

import random
import time
from collections.abc import Callable

from config.contracts.api import Patience
from config.contracts.errors import Transient, WorkError

#: Said before anything happened: the request may be made again, whatever it is.
_NOTHING_HAPPENED = 429
#: Made twice, these do no more than made once (RFC 9110, 9.2.2). So does PUT, but a late repetition of one could undo
#: what somebody else wrote since. A DELETE whose answer was lost may find nothing the next time: NotFound.
_IDEMPOTENT = frozenset({"GET", "HEAD", "DELETE"})


class Refused(Exception):
    """An answer outside 2xx, on its way to whoever decides about another try."""

    def __init__(self, status: int, verdict: WorkError) -> None:
        super().__init__(status)
        self.status = status
        self.verdict = verdict


class Tries:
    """The tries of one request. The first begins now."""

    def __init__(
        self,
        method: str,
        patience: Patience,
        *,
        now: Callable[[], float] = time.monotonic,
        luck: Callable[[], float] = random.random,
    ) -> None:
        """`luck`: a number in [0, 1)."""
        self._method, self._patience, self._now, self._luck = method, patience, now, luck
        self._began = now()
        self._made = 1

    def pause(self, failure: Refused | Transient) -> float:
        """Seconds until the next try: random(D, 2D), where D doubles; longer if the platform asked for it.

        Raises the verdict if there is no further try.
        """
        verdict = failure.verdict if isinstance(failure, Refused) else failure
        if self._made >= self._patience.tries or not isinstance(verdict, Transient) or not self._may_repeat(failure):
            raise verdict
        wait = self._patience.first * 2.0 ** (self._made - 1) * (1 + self._luck())
        wait = max(wait, verdict.retry_after or 0.0)
        if self._now() + wait > self._began + self._patience.longest:
            raise verdict
        self._made += 1
        return wait

    def _may_repeat(self, failure: Refused | Transient) -> bool:
        """Trouble of the platform or of the wire; a 4xx that passes in minutes is not worth holding a slot for."""
        status = failure.status if isinstance(failure, Refused) else 0
        return status == _NOTHING_HAPPENED or (self._method in _IDEMPOTENT and (status == 0 or status >= 500))
