"""Runs that fail are told to people, with the end of their log; a storm of them is two messages."""

import asyncio
from collections import Counter
from pathlib import Path

from config.contracts.delivery import DeliveryState
from config.settings import Settings
from tests.end_to_end.installation import installation
from tests.workers.sinks.told import phone

ROUTES = """\
sinks:
  oncall: {{type: notify, url: "json://127.0.0.1:{port}", collect: {{for: 4s, most: 20}}}}
routes:
  - name: something-broke
    when: {{status: FAILED}}
    read: {{log_tail: 20}}
    to:
      - sink: oncall
        text: |
          {{{{ actor.name }}}} {{{{ run.status }}}} {{{{ run.console_url }}}}
          {{{{ log_tail | code }}}}
"""


async def test_failed_runs_are_told_with_their_log_and_a_storm_of_them_at_once(
    settings: Settings, tmp_path: Path, actors: Path
) -> None:
    async with phone() as oncall:
        routes = ROUTES.format(port=oncall.port)
        async with installation(settings, tmp_path, routes, actors) as place:
            first = await place.start("local~pusher", {"exit": 1})
            _, (alone,) = await place.finished(first["id"])
            assert oncall.messages[0].startswith(
                f"local/pusher FAILED https://console.apify.com/view/runs/{first['id']}\n"
            )
            assert "pushing {'exit': 1}" in oncall.messages[0]
            others = await asyncio.gather(*(place.start("local~pusher", {"exit": 1}) for _ in range(4)))
            ended = await asyncio.gather(*(place.finished(run["id"]) for run in others))

    deliveries = [alone, *(one for _, (one,) in ended)]
    assert {one.state for one in deliveries} == {DeliveryState.DELIVERED}
    assert {one.attempt for one in deliveries} == {0}
    told = Counter(run["id"] for run in (first, *others) for message in oncall.messages if run["id"] in message)
    assert set(told.values()) == {1}
    assert len(told) == 5
    assert len(oncall.messages) < 5
    receipts = [row for one in deliveries for row in one.checkpoint.receipts]
    assert {(row.stream, row.status, row.delivered) for row in receipts} == {("log", "balanced", 1)}
    assert sum(row.out for row in receipts) == len(oncall.messages)
