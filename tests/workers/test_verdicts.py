"""What follows from an error: again, and when; paused; or dead."""

from collections.abc import Callable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from config.contracts.delivery import Checkpoint
from config.contracts.errors import Forbidden, NotFound, NotYet, Permanent, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from config.contracts.source import Settle
from config.route import Retry
from workers.ledger.records import Signal
from workers.verdicts import Again, Dead, decide, signal_of, until_settled, waited_out

RETRY = Retry(for_seconds=1000.0, backoff=(0, 5, 60, 300))
AWAY = Transient(Reason.TARGET_UNAVAILABLE, "HTTP 503")


def always(number: float) -> Callable[[], float]:
    return lambda: number


def judge(
    error: WorkError, *, attempt: int = 0, age: float = 0.0, retry: Retry = RETRY, luck: float = 0.5
) -> Again | Dead:
    return decide(error, attempt=attempt, age=age, retry=retry, random=always(luck))


TABLE: list[tuple[WorkError, Again | Dead]] = [
    (AWAY, Again(60.0, 2, paused=False, reason=Reason.TARGET_UNAVAILABLE, detail="HTTP 503")),
    (
        NotYet(Reason.NOT_SETTLED, "counting", wait=7.0),
        Again(7.0, 1, paused=False, reason=Reason.NOT_SETTLED, detail="counting"),
    ),
    (
        Unauthorized(Reason.TOKEN_REFUSED, "HTTP 401"),
        Again(60.0, 1, paused=True, reason=Reason.TOKEN_REFUSED, detail="HTTP 401"),
    ),
    (Permanent(Reason.TARGET_REFUSED, "HTTP 404"), Dead(Reason.TARGET_REFUSED, "HTTP 404")),
    (NotFound(Reason.DATA_EXPIRED, "gone"), Dead(Reason.DATA_EXPIRED, "gone")),
    (
        WorkError(Reason.INTERNAL_ERROR, "of no kind"),
        Again(60.0, 2, paused=False, reason=Reason.INTERNAL_ERROR, detail="of no kind"),
    ),
]


@pytest.mark.parametrize(("error", "verdict"), TABLE, ids=[type(error).__name__ for error, _ in TABLE])
def test_the_class_of_the_error_is_the_verdict(error: WorkError, verdict: Again | Dead) -> None:
    assert judge(error, attempt=1) == verdict


@pytest.mark.parametrize(
    ("error", "signal"),
    [
        (AWAY, Signal.FAULT),
        (Transient(Reason.TOO_SLOW), Signal.FAULT),
        (Transient(Reason.SOURCE_UNAVAILABLE), Signal.NOTHING),
        (Transient(Reason.INTERNAL_ERROR), Signal.NOTHING),
        (NotYet(Reason.NOT_TERMINAL, wait=1.0), Signal.READ),
        (Unauthorized(Reason.TOKEN_REFUSED), Signal.REFUSED),
        (Unauthorized(Reason.SOURCE_TOKEN_REFUSED), Signal.SOURCE_REFUSED),
        (Forbidden(Reason.SOURCE_TOKEN_REFUSED), Signal.NOTHING),
        (Permanent(Reason.ITEM_REFUSED), Signal.GOOD),
        (Permanent(Reason.COUNT_MISMATCH), Signal.NOTHING),
    ],
    ids=lambda value: value if isinstance(value, Signal) else f"{type(value).__name__} {value}",
)
def test_only_its_own_trouble_counts_against_a_target(error: WorkError, signal: Signal) -> None:
    assert signal_of(error) is signal


@pytest.mark.parametrize(("attempt", "wait"), [(0, 5), (1, 60), (2, 300), (3, 300), (99, 300)])
def test_pauses_follow_the_schedule_and_the_last_one_repeats(attempt: int, wait: float) -> None:
    again = judge(AWAY, attempt=attempt)
    assert isinstance(again, Again)
    assert (again.wait, again.attempt) == (wait, attempt + 1)


@pytest.mark.parametrize(("luck", "wait"), [(0.0, 48.0), (0.25, 54.0), (0.5, 60.0), (0.999999999, 72.0)])
def test_jitter_is_a_fifth_to_either_side(luck: float, wait: float) -> None:
    again = judge(AWAY, attempt=1, luck=luck)
    assert isinstance(again, Again)
    assert again.wait == pytest.approx(wait)


@pytest.mark.parametrize(
    ("asked", "wait"), [(None, 60.0), (0.0, 60.0), (59.0, 60.0), (900.0, 900.0), (1e9, 3600.0), (float("inf"), 3600.0)]
)
def test_the_far_side_may_ask_for_a_longer_pause_up_to_an_hour(asked: float | None, wait: float) -> None:
    error = Transient(Reason.TARGET_UNAVAILABLE, "HTTP 429", retry_after=asked)
    again = judge(error, attempt=1, retry=Retry(for_seconds=1e6, backoff=RETRY.backoff))
    assert isinstance(again, Again)
    assert again.wait == wait


@pytest.mark.parametrize("error", [AWAY, Transient(Reason.TARGET_UNAVAILABLE, retry_after=5000.0)])
@pytest.mark.parametrize("luck", [0.0, 0.5, 0.99])
def test_the_last_try_is_made_at_the_deadline(error: Transient, luck: float) -> None:
    again = judge(error, attempt=3, age=990.0, luck=luck)
    assert isinstance(again, Again)
    assert again.wait == 10.0


@pytest.mark.parametrize("age", [1000.0, 1000.1, 1e9])
def test_after_the_deadline_it_is_dead_and_says_what_the_last_try_said(age: float) -> None:
    assert judge(AWAY, attempt=6, age=age) == Dead(
        Reason.RETRIES_EXHAUSTED, "7 tries; the last one: target_unavailable: HTTP 503"
    )


@pytest.mark.parametrize(
    "reason", [Reason.CONFIG_GONE, Reason.PLUGIN_MISSING, Reason.RUN_NOT_FOUND, Reason.NOT_TERMINAL]
)
def test_a_reason_that_says_more_outlives_the_deadline(reason: Reason) -> None:
    for error in (Transient(reason, "why"), NotYet(reason, "why", wait=5.0)):
        dead = judge(error, age=1000.0)
        assert isinstance(dead, Dead)
        assert dead.reason is reason


def test_what_waits_for_others_is_not_tried_and_has_no_deadline() -> None:
    error = NotYet(Reason.COLLECTING, "with others", wait=300.0)
    assert judge(error, attempt=2, age=1e9) == Again(300.0, 2, paused=False, reason=error.reason, detail=error.detail)


def test_what_is_not_yet_ends_at_the_deadline_too() -> None:
    error = NotYet(Reason.NOT_SETTLED, "counting", wait=60.0)
    assert judge(error, age=990.0) == Again(10.0, 0, paused=False, reason=Reason.NOT_SETTLED, detail="counting")
    assert isinstance(judge(error, age=1000.0), Dead)


def test_refused_credentials_wait_for_a_person_however_long_that_takes() -> None:
    error = Unauthorized(Reason.TOKEN_REFUSED)
    assert judge(error, attempt=3, age=1e9) == Again(60.0, 3, paused=True, reason=Reason.TOKEN_REFUSED, detail="")


@settings(deadline=None)
@given(
    age=st.floats(0, 2000),
    attempt=st.integers(0, 50),
    luck=st.floats(0, 1, exclude_max=True),
    asked=st.none() | st.floats(0, 1e7),
)
def test_no_luck_makes_the_deadline_earlier_or_later(
    age: float, attempt: int, luck: float, asked: float | None
) -> None:
    verdict = judge(Transient(Reason.TARGET_UNAVAILABLE, retry_after=asked), attempt=attempt, age=age, luck=luck)
    assert isinstance(verdict, Dead) == (age >= RETRY.for_seconds)
    if isinstance(verdict, Again):
        assert 0 < verdict.wait <= RETRY.for_seconds - age


@settings(deadline=None)
@given(luck=st.lists(st.floats(0, 1, exclude_max=True), min_size=200, max_size=200))
def test_with_the_default_schedule_the_last_try_is_75_hours_after_the_first(luck: list[float]) -> None:
    age, attempt = 0.0, 0
    while isinstance(again := judge(AWAY, attempt=attempt, age=age, retry=Retry(), luck=luck.pop()), Again):
        age, attempt = age + again.wait, again.attempt
    assert age == pytest.approx(75 * 3600.0)


# waiting for the counts

UNSETTLED = NotYet(Reason.NOT_SETTLED, "the platform counts 9 rows and gave 5", wait=0.0)
LONG = Settle(timeout=90.0)


def attempt(at: Checkpoint, settle: Settle) -> tuple[list[float], WorkError, Checkpoint]:
    """One attempt whose counts never settle: the waits, the error it ends with and what is remembered then."""
    waits: list[float] = []
    while True:
        try:
            error, at = until_settled(UNSETTLED, at, settle)
        except WorkError as given_up:
            return waits, given_up, waited_out(at)
        waits.append(error.wait)


def test_waiting_for_the_counts_doubles_up_to_half_a_minute() -> None:
    waits, error, _ = attempt(Checkpoint(), LONG)
    assert waits == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert (type(error), error.reason, error.detail) == (Transient, Reason.NOT_SETTLED, UNSETTLED.detail)


def test_each_wait_is_remembered() -> None:
    _, at = until_settled(UNSETTLED, Checkpoint(offset=7, timeouts=1), LONG)
    assert at == Checkpoint(offset=7, timeouts=1, waits=1, unsettled=2.0)


@settings(deadline=None)
@given(st.floats(0.001, 200_000))
def test_an_attempt_waits_exactly_as_long_as_the_file_says(timeout: float) -> None:
    waits, error, _ = attempt(Checkpoint(), Settle(timeout=timeout))
    assert type(error) is Transient
    assert sum(waits) == pytest.approx(timeout)
    assert all(0 < wait <= 30.0 for wait in waits)


def test_an_attempt_without_patience_waits_not_at_all() -> None:
    waits, error, _ = attempt(Checkpoint(), Settle(timeout=0.0))
    assert (waits, type(error)) == ([], Transient)


def test_after_three_attempts_the_counts_are_held_to_be_wrong() -> None:
    _, first, at = attempt(Checkpoint(), LONG)
    _, second, at = attempt(at, LONG)
    _, third, at = attempt(at, LONG)
    assert [(type(error), error.reason) for error in (first, second, third)] == [
        (Transient, Reason.NOT_SETTLED),
        (Transient, Reason.NOT_SETTLED),
        (Permanent, Reason.COUNT_MISMATCH),
    ]


def test_an_attempt_that_timed_out_is_remembered_and_the_next_begins_afresh() -> None:
    at = Checkpoint(offset=7, batch=2, waits=6, unsettled=90.0, timeouts=1)
    assert waited_out(at) == Checkpoint(offset=7, batch=2, timeouts=2)


@settings(deadline=None)
@given(st.floats(0.1, 1e6), st.integers(0, 9), st.sampled_from([Reason.NOT_SETTLED, Reason.SUPERSEDED]))
def test_an_error_that_names_its_wait_keeps_it(wait: float, waits: int, reason: Reason) -> None:
    assume(wait > 0)
    error, at = NotYet(reason, wait=wait), Checkpoint(waits=waits, unsettled=1e9)
    assert until_settled(error, at, LONG) == (error, at)


def test_other_reasons_to_wait_have_nothing_to_do_with_the_counts() -> None:
    error, at = NotYet(Reason.SUPERSEDED, wait=0.0), Checkpoint(unsettled=1e9)
    assert until_settled(error, at, LONG) == (error, at)
