"""Finding runs again: lists, the last run, its storages; and changing one."""

from urllib.parse import quote

from tests.emulator.conftest import Emulator, StartEmulator, WriteActor


async def test_a_run_started_by_an_actor_has_another_origin(
    start_emulator: StartEmulator, write_actor: WriteActor
) -> None:
    write_actor("child")
    write_actor("parent", "call('POST', '/acts/local~child/runs?waitForFinish=60')")
    emulator = await start_emulator()

    await emulator.finish(await emulator.start("parent"))

    assert (await emulator.get("/v2/acts/local~child/runs/last?origin=ACTOR")).data["meta"]["origin"] == "ACTOR"
    assert (await emulator.get("/v2/acts/local~child/runs/last?origin=API")).error == (404, "record-not-found")


async def test_runs_are_listed_filtered_and_paged(emulator: Emulator) -> None:
    first = await emulator.finish(await emulator.start("quick"))
    second = await emulator.finish(await emulator.start("quick"))
    third = await emulator.start("sleepy")

    async def ids(path: str) -> list[str]:
        return [run["id"] for run in (await emulator.get(path)).data["items"]]

    assert await ids("/v2/actor-runs") == [first["id"], second["id"], third["id"]]
    assert await ids("/v2/actor-runs?desc=1&limit=2") == [third["id"], second["id"]]
    assert await ids("/v2/actor-runs?offset=1&limit=1") == [second["id"]]
    assert await ids("/v2/actor-runs?status=SUCCEEDED,FAILED") == [first["id"], second["id"]]
    assert await ids(f"/v2/actor-runs?startedAfter={quote(second['startedAt'])}") == [second["id"], third["id"]]
    assert await ids(f"/v2/actor-runs?startedBefore={quote(second['startedAt'])}") == [first["id"], second["id"]]
    assert await ids("/v2/acts/local~sleepy/runs") == [third["id"]]
    page = (await emulator.get("/v2/actors/local~quick/runs?desc=1&limit=1")).data
    assert {name: page[name] for name in page if name != "items"} == {
        "total": 2,
        "offset": 0,
        "limit": 1,
        "count": 1,
        "desc": True,
    }
    assert page["items"][0].keys() == {
        *("id", "actId", "userId", "actorTaskId", "status", "startedAt", "finishedAt", "buildId", "buildNumber"),
        *("meta", "defaultKeyValueStoreId", "defaultDatasetId", "defaultRequestQueueId", "usageTotalUsd"),
    }
    assert (await emulator.get("/v2/actor-runs?status=FINISHED")).error == (400, "invalid-value")
    assert (await emulator.get("/v2/actor-runs?startedAfter=noon")).error == (400, "invalid-value")


async def test_the_last_run_and_its_storages_are_found_by_status(
    start_emulator: StartEmulator, write_actor: WriteActor
) -> None:
    write_actor(
        "mixed",
        "push({'n': 1})\nrecord('OUTPUT', b'1', 'application/json')\n"
        "sys.exit(int(os.environ['ACTOR_MEMORY_MBYTES']) == 128)",
    )
    emulator = await start_emulator()
    good = await emulator.finish(await emulator.start("mixed"))
    bad = await emulator.finish(await emulator.start("mixed", "memory=128"))
    last = "/v2/acts/local~mixed/runs/last"

    assert (await emulator.get(last)).data["id"] == bad["id"]
    assert (await emulator.get(f"{last}?status=SUCCEEDED&waitForFinish=1")).data["id"] == good["id"]
    assert (await emulator.get(f"{last}?status=ABORTED")).error == (404, "record-not-found")
    assert (await emulator.get(last, token=None)).error == (401, "token-not-provided")
    for path, expected in [
        ("dataset", good["defaultDatasetId"]),
        ("key-value-store", good["defaultKeyValueStoreId"]),
        ("request-queue", good["defaultRequestQueueId"]),
    ]:
        assert (await emulator.get(f"{last}/{path}?status=SUCCEEDED")).data["id"] == expected
    assert (await emulator.get(f"{last}/dataset/items")).json == [{"n": 1}]
    assert (await emulator.get(f"{last}/dataset/items", token=None)).error == (401, "token-not-provided")
    assert [key["key"] for key in (await emulator.get(f"{last}/key-value-store/keys")).data["items"]] == ["OUTPUT"]
    assert (await emulator.get(f"{last}/key-value-store/records/OUTPUT")).json == 1
    assert (await emulator.get(f"{last}/request-queue/head")).data["items"] == []
    assert b"exit code 1" in (await emulator.get(f"{last}/log")).body


async def test_a_run_whose_dataset_is_gone_says_so(emulator: Emulator) -> None:
    run = await emulator.finish(await emulator.start("quick"))
    await emulator.ask("DELETE", f"/v2/datasets/{run['defaultDatasetId']}")

    assert (await emulator.get(f"/v2/actor-runs/{run['id']}/dataset/items")).error == (404, "record-not-found")


async def test_a_run_is_updated_in_the_three_fields_that_can_be(emulator: Emulator) -> None:
    run = await emulator.finish(await emulator.start("quick"))
    path = f"/v2/actor-runs/{run['id']}"

    changed = (await emulator.ask("PUT", path, {"statusMessage": "ok", "status": "FAILED", "runId": "x"})).data

    assert (changed["statusMessage"], changed["status"], changed["id"]) == ("ok", "SUCCEEDED", run["id"])
    assert (await emulator.ask("PUT", path, {"statusMessage": 5})).error == (400, "invalid-input")
    assert (await emulator.ask("PUT", path, b"[]")).error == (400, "invalid-input")
