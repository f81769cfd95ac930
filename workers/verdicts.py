"""From an error to what happens next. Pure: the error's class is the verdict; clock and schedule are given."""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from config.contracts.delivery import Checkpoint
from config.contracts.errors import Forbidden, NotYet, Permanent, Transient, Unauthorized, WorkError
from config.contracts.reasons import PAUSES_SOURCE, Reason
from config.contracts.source import Settle
from config.route import Retry
from workers.ledger.records import Signal

#: Seconds between two looks at a far side that refused our credentials.
PROBE = 60.0
#: A far side may ask us to stay away for this long, no longer.
LONGEST_RETRY_AFTER = 3600.0
#: Each pause of the schedule is stretched or shortened by up to this share.
JITTER = 0.2
#: Attempts in a row whose counts did not settle, until the counts themselves are held to be wrong.
UNSETTLED_ATTEMPTS = 3
_FIRST_WAIT, _LONGEST_WAIT = 2.0, 30.0
#: From here on doubling makes no difference any more.
_DOUBLINGS = 4
#: Reasons that say more than that retrying did not help.
_TELLING = frozenset(
    {Reason.CONFIG_GONE, Reason.PLUGIN_MISSING, Reason.NOT_TERMINAL, Reason.RUN_NOT_FOUND, Reason.RUN_FOREIGN}
)


class Again(NamedTuple):
    """Come back after `wait` seconds. `attempt`: failed tries so far. `paused`: a person is needed, data waits."""

    wait: float
    attempt: int
    paused: bool
    reason: Reason
    detail: str


class Dead(NamedTuple):
    """It ends here, kept with its reason."""

    reason: Reason
    detail: str


#: Said by a target that answers: nothing keeps others from trying.
_SAID_NO = frozenset({Reason.ITEM_REFUSED, Reason.TARGET_REFUSED, Reason.UPLOAD_CONFLICT})
_TROUBLED = frozenset({Reason.TARGET_UNAVAILABLE, Reason.TOO_SLOW})
#: Processes that died on a record while they did nothing else, after two that did, before it is held to be the cause.
POISON = 5

#: What is waited for are others, for as long as they need.
_FOR_OTHERS = frozenset({Reason.COLLECTING, Reason.IN_TURN})


def signal_of(error: WorkError) -> Signal:
    """What an error tells of the far side, for others that wait for it."""
    if isinstance(error, Forbidden):
        return Signal.NOTHING  # others may be allowed
    if isinstance(error, Unauthorized):
        return Signal.SOURCE_REFUSED if error.reason in PAUSES_SOURCE else Signal.REFUSED
    if isinstance(error, Transient) and error.reason in _TROUBLED:
        return Signal.FAULT
    if error.reason is Reason.NOT_TERMINAL:
        return Signal.READ
    return Signal.GOOD if error.reason in _SAID_NO else Signal.NOTHING


def check_poison(lonely: int) -> None:
    """Raises Permanent (poison)."""
    if lonely >= POISON:
        raise Permanent(Reason.POISON, f"{lonely} processes died on it while they did nothing else")


def decide(error: WorkError, *, attempt: int, age: float, retry: Retry, random: Callable[[], float]) -> Again | Dead:
    """What follows from an error.

    attempt: failed tries before this one. age: seconds since the record was made. random: a number in [0, 1).
    """
    if isinstance(error, Permanent):
        return Dead(error.reason, error.detail)
    if isinstance(error, NotYet):
        again = Again(error.wait, attempt, paused=False, reason=error.reason, detail=error.detail)
        return again if error.reason in _FOR_OTHERS else _within(retry, age, again)
    if isinstance(error, Unauthorized):
        return Again(PROBE, attempt, paused=True, reason=error.reason, detail=error.detail)
    wait = _pause(retry, attempt + 1, random())
    if isinstance(error, Transient) and error.retry_after is not None:
        wait = max(wait, min(error.retry_after, LONGEST_RETRY_AFTER))
    return _within(retry, age, Again(wait, attempt + 1, paused=False, reason=error.reason, detail=error.detail))


def _pause(retry: Retry, attempt: int, random: float) -> float:
    base = retry.backoff[min(attempt, len(retry.backoff) - 1)]
    return base * (1 + JITTER * (2 * random - 1))


def _within(retry: Retry, age: float, again: Again) -> Again | Dead:
    """`retry.for` is a deadline: the last try is made at it, never later and never earlier than it allows."""
    left = retry.for_seconds - age
    if left <= 0:
        reason = again.reason if again.reason in _TELLING else Reason.RETRIES_EXHAUSTED
        return Dead(reason, f"{again.attempt} tries; the last one: {again.reason}: {again.detail}")
    return again._replace(wait=min(again.wait, left))


def until_settled(error: NotYet, checkpoint: Checkpoint, settle: Settle) -> tuple[NotYet, Checkpoint]:
    """How long to wait for the platform's counts: 2, 4, 8 … s, and what to remember of the waiting.

    An error that names its own wait keeps it. Raises Transient (not_settled) when an attempt has waited for
    `settle.timeout`, Permanent (count_mismatch) when UNSETTLED_ATTEMPTS in a row have.
    """
    if error.reason is not Reason.NOT_SETTLED or error.wait > 0:
        return error, checkpoint
    if checkpoint.unsettled >= settle.timeout:
        raise _given_up(error, checkpoint)
    wait = min(
        _FIRST_WAIT * 2 ** min(checkpoint.waits, _DOUBLINGS), _LONGEST_WAIT, settle.timeout - checkpoint.unsettled
    )
    patient = msgspec.structs.replace(checkpoint, waits=checkpoint.waits + 1, unsettled=checkpoint.unsettled + wait)
    return NotYet(error.reason, error.detail, wait=wait), patient


def _given_up(error: NotYet, checkpoint: Checkpoint) -> WorkError:
    if checkpoint.timeouts + 1 >= UNSETTLED_ATTEMPTS:
        return Permanent(Reason.COUNT_MISMATCH, error.detail)
    return Transient(Reason.NOT_SETTLED, error.detail)


def waited_out(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint after an attempt in which the counts did not settle."""
    return msgspec.structs.replace(checkpoint, waits=0, unsettled=0.0, timeouts=checkpoint.timeouts + 1)
