"""Runs that ended before anybody here listened are delivered after all, through the command itself."""

import json
from pathlib import Path

import pytest

from config.contracts.delivery import DeliveryState
from config.contracts.event import EventState
from config.settings import Settings
from tests.end_to_end.far_side import FarSide, far_side
from tests.end_to_end.installation import Installation, eventually, installation
from tests.end_to_end.test_reconcile import unannounced
from tests.end_to_end.test_replay import Captured, typed
from tests.end_to_end.test_troubles import FILE, lines
from workers.care import reconciler
from workers.ledger.records import EventRecord


@pytest.fixture(autouse=True)
def here(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an operator types, without two minutes of patience."""
    monkeypatch.setattr(reconciler, "GRACE", 0.0)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", settings.redis_url)
    monkeypatch.setenv("RUNRELAY_NAMESPACE", settings.namespace)


def chain(side: FarSide) -> str:
    """Rows to a file and to an address, the same run to an Actor, and its dataset deleted."""
    return f"""\
sinks:
  disk: {{type: file, base: "{{folder}}/results"}}
  next: {{type: actor, source: apify, max_chain: 3}}
  crm: {{type: http, url: "{side.url}"}}
routes:
  - name: rows
    when: {{status: SUCCEEDED, origin: API}}
    to: [{{sink: disk, path: "{{{{ run.id }}}}.jsonl"}}]
    after: {{delete: [dataset]}}
  - name: chain
    when: {{status: SUCCEEDED, origin: API}}
    to: [{{sink: next, actor: local~pusher, per: run, input: {{items: 1}}}}, {{sink: crm}}]
"""


async def ended(place: Installation, items: int) -> str:
    """The id of a run without any webhook, once it has ended."""
    run = await unannounced(place, items)

    async def over() -> str | None:
        found = await place.api("GET", f"/v2/actor-runs/{run}", params={"waitForFinish": 60})
        return run if found["finishedAt"] else None

    return await eventually(over)


async def outcomes(capsys: Captured, *words: str) -> dict[str, str]:
    """What `backfill` said of each run."""
    code, told = await typed(capsys, "backfill", "--since", "1h", "--pace", "1000/s", *words)
    assert code == 0
    return {one["run_id"]: one["outcome"] for one in told}


async def test_runs_from_before_are_delivered_once(
    settings: Settings, tmp_path: Path, actors: Path, capsys: Captured
) -> None:
    async with installation(settings, tmp_path, FILE, actors) as place:
        first, second = await ended(place, 3), await ended(place, 4)
        assert await outcomes(capsys, "--dry-run") == {first: "would_take", second: "would_take"}
        assert await place.ledger.newest_events(10) == []

        assert await outcomes(capsys) == {first: "taken", second: "taken"}
        for run, rows in ((first, 3), (second, 4)):
            (event,), (one,) = await place.finished(run)
            assert (event.via, event.state, one.state) == ("backfill", EventState.PLANNED, DeliveryState.DELIVERED)
            assert lines(tmp_path, run) == list(range(rows))
        assert await outcomes(capsys) == {first: "known", second: "known"}
        assert len(await place.ledger.newest_events(10)) == 2


async def test_a_run_that_was_delivered_goes_only_where_it_has_not_been(
    settings: Settings, tmp_path: Path, actors: Path, capsys: Captured
) -> None:
    async with installation(settings, tmp_path, FILE, actors) as place:
        run = (await place.start("local~pusher", {"items": 2}))["id"]
        await place.finished(run)
        assert await outcomes(capsys) == {run: "known"}
    text = (tmp_path / "runrelay.yaml").read_text().split("sinks:")[1]
    new = "  - name: new\n    to: [{sink: disk, name: copy, path: 'copy-{{ event.route or run.id }}.jsonl'}]\n"
    async with installation(settings, tmp_path, f"sinks:{text}{new}", actors) as place:
        assert await outcomes(capsys, "--route", "all") == {run: "known"}
        assert await outcomes(capsys, "--route", "new") == {run: "taken"}
        events, deliveries = await place.finished(run, count=2)
        assert await outcomes(capsys) == {run: "known"}
    assert [event.via for event in events] == ["webhook", "backfill"]
    assert sorted(f"{one.delivery.route}/{one.delivery.target}" for one in deliveries) == ["all/disk", "new/copy"]
    assert lines(tmp_path, f"copy-{run}") == [0, 1], "there is no webhook that templates could see"


async def test_only_the_route_that_is_named_gets_a_run(
    settings: Settings, tmp_path: Path, actors: Path, capsys: Captured
) -> None:
    async with far_side() as side, installation(settings, tmp_path, chain(side), actors) as place:
        run = await ended(place, 2)
        assert await outcomes(capsys, "--sink", "crm", "--include-effects") == {run: "taken"}
        (event,), (one,) = await place.finished(run)
        assert (event.via, one.delivery.target) == ("backfill+effects", "crm")
        assert await place.ledger.after_of(event) is None, "the other target does not have the run"
    assert [item["n"] for item in side.items] == [0, 1]


async def test_effects_wait_for_somebody_who_means_them(
    settings: Settings, tmp_path: Path, actors: Path, capsys: Captured
) -> None:
    async with far_side() as side, installation(settings, tmp_path, chain(side), actors) as place:
        run = await ended(place, 2)
        _, (told,) = await typed(capsys, "backfill", "--since", "1h")
        assert (told["outcome"], told["targets"], told["left_out"]) == (
            "taken",
            ["rows/disk", "chain/crm"],
            ["chain/next"],
        )
        (event,), ones = await place.finished(run)
        assert sorted(one.delivery.target for one in ones) == ["crm", "disk"]
        assert await place.ledger.after_of(event) is None
        assert len((await place.api("GET", "/v2/actor-runs"))["items"]) == 1
        assert await outcomes(capsys, "--target", "next") == {run: "left_out"}

        assert await outcomes(capsys, "--include-effects") == {run: "taken"}
        events, ones = await place.finished(run, count=2)
        assert sorted((one.delivery.target, one.state) for one in ones) == [
            ("crm", DeliveryState.DELIVERED),
            ("disk", DeliveryState.DELIVERED),
            ("next", DeliveryState.DELIVERED),
        ]
        assert (await place.ledger.after_of(events[1])) is not None
        assert len((await place.api("GET", "/v2/actor-runs"))["items"]) == 2
    assert len(side.requests) == 1, "the others have it already"


async def test_a_run_whose_dataset_is_gone_is_counted_apart(
    settings: Settings, tmp_path: Path, actors: Path, capsys: Captured
) -> None:
    async with installation(settings, tmp_path, FILE, actors) as place:
        gone, there = await ended(place, 2), await ended(place, 2)
        dataset = (await place.api("GET", f"/v2/actor-runs/{gone}"))["defaultDatasetId"]
        await place.api("DELETE", f"/v2/datasets/{dataset}")
        assert await outcomes(capsys, "--dry-run") == {gone: "expired", there: "would_take"}
        assert await outcomes(capsys) == {gone: "expired", there: "taken"}
        await place.finished(there)
        assert [event.run_id for event in await place.ledger.newest_events(10)] == [there]


async def test_what_nobody_wants_or_means_is_left_alone(
    settings: Settings, tmp_path: Path, actors: Path, capsys: Captured
) -> None:
    async with installation(settings, tmp_path, FILE, actors) as place:
        run = await ended(place, 1)
        failed = (await place.api("POST", "/v2/acts/local~pusher/runs", json={"exit": 1}))["id"]
        await place.api("GET", f"/v2/actor-runs/{failed}", params={"waitForFinish": 60})
        assert await outcomes(capsys, "--dry-run") == {run: "would_take", failed: "no_route"}
        for words in (
            ["--actor", "local/pusher"],
            ["--actor", "local/pu*"],
            ["--status", "SUCCEEDED", "--source", "apify"],
        ):
            assert (await outcomes(capsys, "--dry-run", *words))[run] == "would_take"
        for words in (["--actor", "local/other*"], ["--status", "TIMED-OUT"], ["--until", "30m"]):
            assert await outcomes(capsys, "--dry-run", *words) == {}
        assert (await typed(capsys, "backfill", "--since", "1h", "--actor", "local/other"))[0] == 1


async def test_a_left_out_run_says_why_it_leads_nowhere(
    settings: Settings, tmp_path: Path, actors: Path, capsys: Captured
) -> None:
    """The file may have changed between the command and the worker."""
    async with installation(settings, tmp_path, FILE, actors) as place:
        run = await ended(place, 1)
        # what the command reads, not what the worker has
        file = tmp_path / "runrelay.yaml"
        file.write_text(file.read_text().replace("name: all", "name: other"))
        assert await outcomes(capsys, "--route", "other") == {run: "taken"}
        (event,), ones = await place.finished(run)
    assert ones == []
    assert (event.state, event.reason) == (EventState.PLANNED, "left_out")


async def test_a_run_no_route_wanted_is_planned_with_the_file_of_now(
    settings: Settings, tmp_path: Path, actors: Path, capsys: Captured
) -> None:
    nobody = FILE.replace("SUCCEEDED", "ABORTED")
    async with installation(settings, tmp_path, nobody, actors) as place:
        run = (await place.start("local~pusher", {"items": 2}))["id"]
        (event,), _ = await place.finished(run)
        assert event.state is EventState.UNMATCHED
    async with installation(settings, tmp_path, FILE, actors) as place:
        code, (would,) = await typed(capsys, "replay", run, "--dry-run")
        assert (code, would["outcome"], would["event"]) == (0, "would_plan", event.id)
        assert (await place.ledger.newest_events(1))[0].state is EventState.UNMATCHED

        code, (told,) = await typed(capsys, "replay", "--reason", "no_route")
        assert (code, told["outcome"]) == (0, "planned_anew")

        async def planned() -> EventRecord | None:
            found = await place.ledger.event(event.id)
            return found if found and found.state is EventState.PLANNED else None

        assert (await eventually(planned)).via == "replay"
        _, (one,) = await place.finished(run)
        assert await typed(capsys, "replay", "--reason", "no_route") == (0, [])
    assert one.state is DeliveryState.DELIVERED
    assert lines(tmp_path, run) == [0, 1]


async def test_a_replay_uses_the_route_of_now_if_that_is_meant(
    settings: Settings, tmp_path: Path, actors: Path, capsys: Captured
) -> None:
    async with installation(settings, tmp_path, FILE, actors) as place:
        run = (await place.start("local~pusher", {"items": 2}))["id"]
        await place.finished(run)
        file = tmp_path / "runrelay.yaml"
        file.write_text(file.read_text().replace("{{ run.id }}.jsonl", "late/{{ run.id }}.jsonl"))
        code, (told,) = await typed(capsys, "replay", run, "--using", "now")
        assert (code, told["outcome"], told["generation"]) == (0, "replayed", 1)

        async def delivered() -> DeliveryState | None:
            one = await place.ledger.delivery(told["delivery"])
            return one.state if one and one.state.final else None

        assert await eventually(delivered) is DeliveryState.DELIVERED
        assert (tmp_path / "results" / "late" / f"{run}.jsonl").exists()

        file.write_text(file.read_text().replace("name: all", "name: renamed"))
        code, (told,) = await typed(capsys, "replay", run, "--using", "now")
    assert (code, told["outcome"], told["detail"]) == (1, "config_gone", "the file has no route 'all' any more")
    assert json.dumps(told)
