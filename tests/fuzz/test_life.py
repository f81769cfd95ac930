"""The ledger's state machine of `make test`: more lives, and longer ones."""

from collections.abc import Callable

from hypothesis import settings

from tests.fuzz.conftest import EXAMPLES
from tests.workers.ledger.test_life import live

#: Steps of one life; a step costs a hundred times what a text does.
STEPS = 100


def test_the_ledger_is_what_the_model_says_whatever_happens(
    valkey_server: str, record_property: Callable[[str, object], None]
) -> None:
    how = settings(max_examples=max(1, EXAMPLES // 40), stateful_step_count=STEPS, deadline=None)
    record_property("examples", live(valkey_server, how))
