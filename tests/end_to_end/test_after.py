"""What was delivered everywhere is deleted at the platform, two minutes later; the tests turn time forward."""

from pathlib import Path

from config.contracts.after import AfterState, after_id
from config.contracts.delivery import DeliveryState
from config.contracts.event import EventState
from config.settings import Settings
from tests.end_to_end.far_side import far_side
from tests.end_to_end.installation import Installation, eventually, installation
from workers.ledger.records import AfterRecord


def routes(delete: str, more: str = "") -> str:
    return f"""\
sinks:
  disk: {{type: file, base: "{{folder}}/results"}}
{more}
routes:
  - name: rows
    when: {{status: SUCCEEDED}}
    to: [{{sink: disk, path: "{{{{ run.id }}}}.jsonl"}}]
    after: {{delete: {delete}}}
"""


async def waiting_after(place: Installation, run_id: str) -> AfterRecord:
    """What comes after the newest finish of a run, once its time has been waited for."""

    async def begun() -> AfterRecord | None:
        events, _ = await place.ledger.of_run("apify", run_id)
        return await place.ledger.after_of(events[-1])

    return await eventually(begun)


async def judged(place: Installation, waiting: AfterRecord) -> AfterRecord:
    """Its time has come."""
    ledger, after = place.ledger, waiting.after
    left = await ledger.redis.zscore(ledger.keys.due, f"af:{after.id}")
    assert left is not None
    assert 100_000 < left - await ledger.now() <= 120_000
    await ledger.redis.zadd(ledger.keys.due, {f"af:{after.id}": await ledger.now() - 1}, xx=True)

    async def final() -> AfterRecord | None:
        record = await ledger.after(after.id)
        return record if record and record.state.final else None

    return await eventually(final)


async def status(place: Installation, path: str) -> int:
    async with place.http.get(place.platform + path) as response:
        return response.status


async def test_the_dataset_goes_and_the_run_stays(settings: Settings, tmp_path: Path, actors: Path) -> None:
    async with installation(settings, tmp_path, routes("[dataset]"), actors) as place:
        run = await place.start("local~pusher", {"items": 3})
        await place.finished(run["id"])
        waiting = await waiting_after(place, run["id"])
        assert await status(place, f"/v2/datasets/{run['defaultDatasetId']}") == 200
        record = await judged(place, waiting)
        gone = await status(place, f"/v2/datasets/{run['defaultDatasetId']}")
        stays = await status(place, f"/v2/actor-runs/{run['id']}")
    assert (record.state, record.after.delete, gone, stays) == (AfterState.DONE, ("dataset",), 404, 200)
    assert len((tmp_path / "results" / f"{run['id']}.jsonl").read_text().splitlines()) == 3


async def test_a_deleted_run_that_is_announced_again_is_superseded(
    settings: Settings, tmp_path: Path, actors: Path
) -> None:
    async with installation(settings, tmp_path, routes("[store, dataset, run]"), actors) as place:
        run = await place.start("local~pusher", {"items": 3})
        await place.finished(run["id"])
        record = await judged(place, await waiting_after(place, run["id"]))
        assert record.state is AfterState.DONE
        assert await status(place, f"/v2/actor-runs/{run['id']}") == 404
        headers = {"Authorization": "Bearer hook-secret-0123456789abcdef0123456789"}
        async with place.http.post(
            f"{place.door}/webhooks/apify", json={"resource": {"id": run["id"]}, "again": True}, headers=headers
        ) as response:
            assert response.status == 200
        events, deliveries = await place.finished(run["id"], count=2)
    assert [event.state for event in events] == [EventState.PLANNED, EventState.SUPERSEDED]
    assert [one.state for one in deliveries] == [DeliveryState.DELIVERED]


async def test_a_resurrected_run_keeps_its_data_until_its_later_finish_is_delivered(
    settings: Settings, tmp_path: Path, actors: Path
) -> None:
    async with installation(settings, tmp_path, routes("[run]"), actors) as place:
        run = await place.start("local~pusher", {"items": 3})
        await place.finished(run["id"])
        first = await waiting_after(place, run["id"])
        resurrected = await place.api("POST", f"/v2/actor-runs/{run['id']}/resurrect")
        assert resurrected["finishedAt"] is None
        record = await judged(place, first)
        assert (record.state, record.reason) == (AfterState.KEPT, "superseded")
        await place.finished(run["id"], count=2)
        life = (await place.api("GET", f"/v2/actor-runs/{run['id']}"))["finishedAt"]
        second = await waiting_after(place, run["id"])
        assert second.after.id == after_id("apify", run["id"], life) != first.after.id
        last = await judged(place, second)
        assert await status(place, f"/v2/actor-runs/{run['id']}") == 404
    assert last.state is AfterState.DONE
    assert len((tmp_path / "results" / f"{run['id']}.jsonl").read_text().splitlines()) == 6


async def test_one_target_that_refused_keeps_everything(settings: Settings, tmp_path: Path, actors: Path) -> None:
    async with far_side() as side:
        side.always = 404
        more = f"  crm: {{type: http, url: {side.url}}}"
        other = "  - {name: crm, when: {}, to: [{sink: crm}]}\n"
        async with installation(settings, tmp_path, routes("[run]", more) + other, actors) as place:
            run = await place.start("local~pusher", {"items": 3})
            _, deliveries = await place.finished(run["id"])
            record = await judged(place, await waiting_after(place, run["id"]))
            stays = await status(place, f"/v2/actor-runs/{run['id']}")
    assert {one.delivery.route: one.state for one in deliveries} == {
        "rows": DeliveryState.DELIVERED,
        "crm": DeliveryState.DEAD,
    }
    assert (record.state, record.detail, stays) == (AfterState.KEPT, "crm/crm is dead", 200)
