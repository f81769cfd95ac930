"""What a turn tells of its far side, for others that wait for it."""

from types import SimpleNamespace
from typing import Any

import pytest

from config.contracts.delivery import Checkpoint, Receipt
from workers.delivering import Turn
from workers.ledger.records import Signal


def checkpoint(**counts: Any) -> Checkpoint:
    return Checkpoint(receipts=(Receipt(route="r", target="t", sink="s", stream="items:default", **counts),))


@pytest.mark.parametrize(
    ("counts", "signal"),
    [
        ({"read": 9, "delivered": 9}, Signal.READ),
        ({"read": 9, "filtered": 9}, Signal.READ),
        ({"read": 9, "delivered": 9, "out": 1}, Signal.GOOD),
        ({"read": 9, "delivered": 8, "rejected": 1}, Signal.GOOD),
    ],
    ids=["staged here", "left out", "written there", "refused there"],
)
def test_only_what_reached_the_far_side_says_that_it_lives(counts: dict[str, int], signal: Signal) -> None:
    turn: Any = Turn.__new__(Turn)
    vars(turn)["record"] = SimpleNamespace(checkpoint=checkpoint())
    vars(turn)["progress"] = SimpleNamespace(at=checkpoint(**counts))
    assert turn._heard() is signal
