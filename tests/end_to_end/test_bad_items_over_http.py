"""A receiver that refuses some items gets all the others once, although it is in trouble in between."""

import json
from pathlib import Path

import pytest

from config.contracts.delivery import DeliveryState
from config.settings import Settings
from console.cli.ledger import _found
from tests.end_to_end.installation import installation
from tests.workers.sinks.far_server import FarServer, Received, answers, far_server

ROUTES = """\
sinks:
  crm: {type: http, url: "%s", batch: {items: 20}, retry: {backoff: [0s, 100ms]}}
routes:
  - name: all
    read: {dataset: default, clean: true}
    to: [{sink: crm, %s}]
"""
BAD = {4, 17, 31}


def refuses(one: Received) -> bool:
    return any(b'"n": %d,' % n in one.body for n in BAD)


def in_trouble(side: FarServer) -> None:
    """Three times, whoever comes after a fifth request finds it busy."""
    left = iter(range(3))

    def refuses_or_tires(one: Received) -> bool:
        if len(side.tried) % 5 == 0 and next(left, None) is not None:
            side.answers.append(answers(503))
        return refuses(one)

    side.refuses = refuses_or_tires


@pytest.mark.parametrize("how", ["per: item", "per: item, parallel: 4", "bisect: true"])
async def test_all_but_the_bad_ones_arrive_once(settings: Settings, tmp_path: Path, actors: Path, how: str) -> None:
    rows = [{"n": n, "a": 1} if n % 7 else {} for n in range(45)]
    wanted = [n for n in range(45) if n % 7]
    async with far_server() as side:
        in_trouble(side)
        async with installation(settings, tmp_path, ROUTES % (side.url, how), actors) as place:
            run = await place.start("local~pusher", {"rows": rows})
            _, (delivery,) = await place.finished(run["id"])
            _, _, rejects = await _found(place.ledger, delivery.delivery.id)

    assert delivery.state is DeliveryState.PARTIAL
    (row,) = delivery.checkpoint.receipts
    assert (row.read, row.filtered, row.rejected, row.delivered, row.status) == (45, 7, 3, 35, "balanced")
    assert [(one["row"], one["why"]) for one in rejects[delivery.delivery.id]] == [
        (n, "HTTP 422: not this") for n in sorted(BAD)
    ]
    arrived = sorted(json.loads(item)["n"] for item in side.items(run["id"]))
    assert arrived == [n for n in wanted if n not in BAD]
