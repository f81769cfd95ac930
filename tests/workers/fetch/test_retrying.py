"""Which request is made again, and when. Time and luck are numbers here."""

import pytest

from config.contracts.api import Patience
from config.contracts.errors import Permanent, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from workers.fetch.retrying import Refused, Tries

BROKEN = Transient(Reason.SOURCE_UNAVAILABLE, "it broke off")


def busy(status: int, retry_after: float | None = None) -> Refused:
    return Refused(status, Transient(Reason.SOURCE_UNAVAILABLE, f"HTTP {status}", retry_after=retry_after))


def pauses(failure: Refused | Transient, *, method: str = "GET", patience: Patience, luck: float = 0.0) -> list[float]:
    """The pauses until the verdict is raised; each try itself takes no time."""
    now, found = [0.0], []
    tries = Tries(method, patience, now=lambda: now[0], luck=lambda: luck)
    while True:
        try:
            found.append(tries.pause(failure))
        except WorkError:
            return found
        now[0] += found[-1]


@pytest.mark.parametrize("failure", [busy(429), busy(500), busy(503), BROKEN])
def test_the_pause_doubles_and_is_stretched_by_up_to_as_much_again(failure: Refused | Transient) -> None:
    assert pauses(failure, patience=Patience(tries=4)) == [0.5, 1.0, 2.0]
    assert pauses(failure, patience=Patience(tries=4), luck=0.5) == [0.75, 1.5, 3.0]


@pytest.mark.parametrize("failure", [busy(429), BROKEN])
def test_in_the_end_the_verdict_itself_is_raised(failure: Refused | Transient) -> None:
    with pytest.raises(Transient) as caught:
        Tries("GET", Patience(tries=1)).pause(failure)
    assert caught.value is (failure.verdict if isinstance(failure, Refused) else failure)


def test_once_is_once() -> None:
    assert pauses(busy(429), patience=Patience(tries=1)) == []


def test_as_long_as_the_platform_asks_for_is_waited() -> None:
    assert pauses(busy(429, 5.0), patience=Patience()) == [5.0, 5.0, 5.0]
    assert pauses(busy(429, 0.1), patience=Patience()) == [0.5, 1.0, 2.0]


def test_nobody_is_kept_waiting_longer_than_patience_has_it() -> None:
    assert pauses(busy(429, 21.0), patience=Patience(longest=20.0)) == []
    assert pauses(busy(429, 9.0), patience=Patience(longest=20.0)) == [9.0, 9.0]
    assert pauses(busy(503), patience=Patience(tries=100, longest=20.0)) == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert pauses(busy(429, float("inf")), patience=Patience()) == []


def test_a_try_that_took_long_is_not_followed_by_another() -> None:
    now = [0.0]
    tries = Tries("GET", Patience(longest=20.0), now=lambda: now[0])
    now[0] = 60.0
    with pytest.raises(Transient, match="it broke off"):
        tries.pause(BROKEN)


@pytest.mark.parametrize(
    ("method", "failure", "again"),
    [
        ("GET", busy(429), True),
        ("GET", busy(502), True),
        ("GET", BROKEN, True),
        ("HEAD", BROKEN, True),
        ("DELETE", busy(429), True),
        ("DELETE", busy(502), True),
        ("DELETE", BROKEN, True),
        ("POST", busy(429), True),
        ("POST", busy(500), False),
        ("POST", BROKEN, False),
        ("PUT", busy(429), True),
        ("PUT", busy(503), False),
        ("PUT", BROKEN, False),
        ("GET", busy(408), False),
        ("GET", busy(402), False),
        ("GET", Refused(429, Permanent(Reason.SOURCE_REFUSED)), False),
        ("GET", Refused(401, Unauthorized(Reason.SOURCE_TOKEN_REFUSED)), False),
        ("GET", Refused(501, Permanent(Reason.SOURCE_REFUSED)), False),
    ],
)
def test_what_may_be_made_again(method: str, failure: Refused | Transient, again: bool) -> None:
    assert bool(pauses(failure, method=method, patience=Patience())) is again
