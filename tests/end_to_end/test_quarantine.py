"""Runs that are not as their route expects: held, told of, and delivered or given up by a person's word."""

import asyncio
import json
import math
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from config.contracts.delivery import DeliveryState
from config.settings import Settings
from console.cli.main import main
from emulator.asgi import ASGIApp, Receive, Scope, Send
from emulator.scenarios import Delay, Fault, Scenario
from tests.end_to_end.installation import Installation, eventually, installation
from tests.end_to_end.killing import starter
from tests.end_to_end.test_after import judged, status, waiting_after
from tests.workers.sinks.told import phone
from workers.ledger.records import DeliveryRecord

Captured = pytest.CaptureFixture[str]
States = dict[str, str]


def routes(expect: str, port: int = 1, more: str = "") -> str:
    return f"""\
sinks:
  disk: {{type: file, base: "{{folder}}/results"}}
  lake: {{type: file, base: "{{folder}}/lake"}}
  oncall: {{type: notify, url: "json://127.0.0.1:{port}"}}
routes:
  - name: rows
    when: {{status: SUCCEEDED}}
    expect:
      {expect}
      else: [{{sink: oncall, text: "{{{{ items_read }}}} items: {{{{ held }}}}"}}]
    to:
      - {{sink: disk, path: "{{{{ run.id }}}}.jsonl"}}
      - {{sink: lake, path: "{{{{ run.id }}}}.jsonl"}}
    {more}
"""


@pytest.fixture(autouse=True)
def here(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an operator types."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", settings.redis_url)
    monkeypatch.setenv("RUNRELAY_NAMESPACE", settings.namespace)


async def typed(capsys: Captured, *words: str) -> tuple[int, list[dict[str, Any]]]:
    """What a command said; the worker beside it may log something meanwhile."""
    capsys.readouterr()
    code = await asyncio.to_thread(main, [*words, "--json"])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]


async def rested(place: Installation, run_id: str, count: int = 1) -> list[DeliveryRecord]:
    """Once all there is to do without a person is done, of so many finishes of the run."""

    async def resting() -> list[DeliveryRecord] | None:
        events, ones = await place.ledger.of_run("apify", run_id)
        known = {one.delivery.id for one in ones if one.state.final or one.state is DeliveryState.QUARANTINED}
        done = all(event.state.final and known.issuperset(event.deliveries) for event in events)
        return ones if len(events) >= count and done and len(known) == len(ones) else None

    return await eventually(resting)


def states(ones: list[DeliveryRecord]) -> States:
    return {one.delivery.target: one.state.value for one in ones}


def lines(folder: Path, run_id: str, place: str = "results") -> int:
    path = folder / place / f"{run_id}.jsonl"
    return len(path.read_text().splitlines()) if path.exists() else -1


async def test_a_run_with_too_few_items_is_held_told_of_once_and_delivered_when_somebody_says_so(
    settings: Settings, tmp_path: Path, actors: Path, capsys: Captured
) -> None:
    async with phone() as oncall:
        file = routes("items: {min: 10}", oncall.port, "after: {delete: [dataset]}")
        async with installation(settings, tmp_path, file, actors) as place:
            run = await place.start("local~pusher", {"items": 3})
            held = await rested(place, run["id"])
            before = (lines(tmp_path, run["id"]), await place.ledger.after_of((await events(place, run))[0]))
            code, told = await typed(capsys, "quarantine", "release", run["id"])
            let_go = await rested(place, run["id"])
            deleted = await judged(place, await waiting_after(place, run["id"]))
            gone = await status(place, f"/v2/datasets/{run['defaultDatasetId']}")

    why = "3 items, at least 10 were expected"
    assert states(held) == {"expect": "delivered", "disk": "quarantined", "lake": "quarantined", "oncall": "delivered"}
    assert {one.detail for one in held if one.delivery.target != "oncall"} == {why}
    assert oncall.messages == [f"3 items: {why}"]
    assert before == (-1, None)
    assert (code, [one["outcome"] for one in told]) == (0, ["released", "released"])
    assert set(states(let_go).values()) == {"delivered"}
    rows = [row for one in let_go if one.delivery.target in {"disk", "lake"} for row in one.checkpoint.receipts]
    assert [(row.expected, row.read, row.delivered, row.status) for row in rows] == [(3, 3, 3, "balanced")] * 2
    assert (lines(tmp_path, run["id"]), lines(tmp_path, run["id"], "lake")) == (3, 3)
    assert (deleted.state.value, gone) == ("done", 404)


async def events(place: Installation, run: dict[str, Any]) -> list[Any]:
    return (await place.ledger.of_run("apify", run["id"]))[0]
