"""Dead letters that are mended and go on, and runs that are delivered once more, through the commands themselves."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from config.contracts.delivery import DeliveryState
from config.settings import Settings
from console.cli.main import main
from tests.end_to_end.far_side import FarSide, far_side
from tests.end_to_end.installation import Installation, eventually, installation
from tests.end_to_end.test_after import judged, waiting_after
from tests.end_to_end.test_troubles import lines
from tests.workers.sinks.database import Database
from workers.ledger.records import DeliveryRecord

Captured = pytest.CaptureFixture[str]


def both(side: FarSide, more: str = "") -> str:
    return f"""\
sinks:
  disk: {{type: file, base: "{{folder}}/results"}}
  crm: {{type: http, url: "{side.url}"}}
routes:
  - name: all
    when: {{status: SUCCEEDED}}
    to: [{{sink: disk, path: "{{{{ run.id }}}}.jsonl"}}, {{sink: crm, batch: {{items: 4}}}}]
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


async def replayed(place: Installation, run_id: str, generation: int, count: int) -> list[DeliveryRecord]:
    """The deliveries of one generation, once all of them are final."""

    async def ended() -> list[DeliveryRecord] | None:
        _, known = await place.ledger.of_run("apify", run_id)
        ones = [one for one in known if one.delivery.generation == generation and one.state.final]
        return ones if len(ones) == count else None

    return await eventually(ended)


async def test_a_truncated_table_comes_back_whole_and_twice_does_not_double(
    settings: Settings, tmp_path: Path, actors: Path, capsys: Captured
) -> None:
    routes = """\
defaults: {batch: {items: 4}}
sinks: {books: {type: sqlite, path: "{folder}/runs.db"}}
routes: [{name: all, when: {status: SUCCEEDED}, to: [{sink: books, table: results}]}]
"""
    books = Database(tmp_path / "runs.db")
    every = [(n, n) for n in range(10)]
    async with installation(settings, tmp_path, routes, actors) as place:
        run = await place.start("local~pusher", {"items": 10})
        other = await place.start("local~pusher", {"items": 1})
        for one in (run, other):
            await place.finished(one["id"])
        for generation, before in enumerate(["DELETE FROM results", "SELECT 1", "DROP TABLE results"], 1):
            books.change(before)
            assert (await typed(capsys, "replay", run["id"]))[0] == 0
            (replay,) = await replayed(place, run["id"], generation, 1)
            assert [(row.delivered, row.status) for row in replay.checkpoint.receipts] == [(10, "balanced")]
            assert books.rows("SELECT _item, n FROM results WHERE _run_id = ?", run["id"]) == every
    assert books.rows("SELECT count(*) FROM results WHERE _run_id = ?", other["id"]) == [(0,)], "it went with the table"


def numbers(side: FarSide) -> list[int]:
    return [item["n"] for item in side.items]


async def test_a_deleted_file_comes_back_whole_and_http_gets_new_ids(
    settings: Settings, tmp_path: Path, actors: Path, capsys: Captured
) -> None:
    async with far_side() as side, installation(settings, tmp_path, both(side), actors) as place:
        run = await place.start("local~pusher", {"items": 10})
        await place.finished(run["id"])
        file = tmp_path / "results" / f"{run['id']}.jsonl"
        whole, first = file.read_bytes(), list(side.requests)
        file.unlink()

        code, told = await typed(capsys, "replay", run["id"])
        assert (code, [one["outcome"] for one in told]) == (0, ["replayed", "replayed"])
        ones = await replayed(place, run["id"], 1, 2)
        assert [one.state for one in ones] == [DeliveryState.DELIVERED] * 2
        assert file.read_bytes() == whole
        assert len(side.requests) == 6
        assert set(side.requests[3:]).isdisjoint(first)
        assert numbers(side) == [*range(10), *range(10)]

        code, told = await typed(capsys, "replay", run["id"], "--target", "disk")
        assert (code, [one["generation"] for one in told]) == (0, [2])
        await replayed(place, run["id"], 2, 1)
    assert file.read_bytes() == whole
    assert sorted(path.name for path in file.parent.iterdir()) == [file.name]
    assert len(side.requests) == 6


async def test_each_finish_of_a_run_is_replayed_with_its_own_rows(
    settings: Settings, tmp_path: Path, actors: Path, capsys: Captured
) -> None:
    async with far_side() as side, installation(settings, tmp_path, both(side), actors) as place:
        run = await place.start("local~pusher", {"items": 10})
        await place.finished(run["id"])
        await place.api("POST", f"/v2/actor-runs/{run['id']}/resurrect")
        await place.finished(run["id"], count=2)
        grown = len(lines(tmp_path, run["id"]))
        assert numbers(side) == list(range(grown))
        assert grown > 10
        (tmp_path / "results" / f"{run['id']}.jsonl").unlink()
        code, told = await typed(capsys, "replay", run["id"])
        assert (code, len(told)) == (0, 4)
        ones = await replayed(place, run["id"], 1, 4)
    rows = [row for one in ones if one.delivery.target == "crm" for row in one.checkpoint.receipts]
    assert {(row.from_offset, row.read, row.status) for row in rows} == {
        (0, 10, "balanced"),
        (10, grown - 10, "balanced"),
    }
    assert numbers(side) == [*range(grown), *range(grown)]
    assert lines(tmp_path, run["id"]) == list(range(grown))


async def test_a_dead_letter_that_is_mended_goes_on_at_its_checkpoint(
    settings: Settings, tmp_path: Path, actors: Path, capsys: Captured
) -> None:
    async with far_side() as side:
        side.answers, side.always = [200], 404
        routes = both(side, "after: {delete: [dataset]}")
        async with installation(settings, tmp_path, routes, actors) as place:
            run = await place.start("local~pusher", {"items": 10})
            await place.finished(run["id"])
            assert (await judged(place, await waiting_after(place, run["id"]))).reason == "not_delivered"
            code, (letter,) = await typed(capsys, "dlq", "list")
            assert (code, letter["target"], letter["reason"]) == (0, "crm", "target_refused")
            assert letter["receipts"][0]["delivered"] == 4

            side.always = 200
            code, told = await typed(capsys, "dlq", "retry", "--target", "crm")
            assert (code, [one["outcome"] for one in told]) == (0, ["retried"])
            _, known = await place.finished(run["id"])
            (crm,) = (one for one in known if one.delivery.target == "crm")
            assert await typed(capsys, "dlq", "list") == (0, [])
            last = await judged(place, await waiting_after(place, run["id"]))
    assert (crm.state, crm.delivery.generation) == (DeliveryState.DELIVERED, 0)
    assert [row.status for row in crm.checkpoint.receipts] == ["balanced"]
    assert numbers(side) == list(range(10))
    assert len(side.requests) == 4, "what was confirmed is not sent again"
    assert last.state.value == "done"


async def test_a_failed_delivery_is_replayed_once(
    settings: Settings, tmp_path: Path, actors: Path, capsys: Captured
) -> None:
    async with far_side() as side:
        side.always = 404
        async with installation(settings, tmp_path, both(side), actors) as place:
            run = await place.start("local~pusher", {"items": 3})
            await place.finished(run["id"])
            side.always = 200
            code, told = await typed(capsys, "replay", "--failed")
            assert (code, [(one["target"], one["was"]) for one in told]) == (0, [("crm", "dead")])
            (crm,) = await replayed(place, run["id"], 1, 1)
            assert await typed(capsys, "replay", "--failed") == (0, [])
            code, told = await typed(capsys, "dlq", "retry", "--all")
            assert (code, [one["outcome"] for one in told]) == (1, ["superseded"])
    assert crm.state is DeliveryState.DELIVERED
    assert numbers(side) == [0, 1, 2]
