"""Everything below a run, by every path that leads to it."""

from pathlib import Path

import pytest

from emulator.queues import request_id
from tests.emulator.conftest import Emulator, StartEmulator
from tests.emulator.scripted import write_script

ROOTS = (
    "/v2/actor-runs/{run}",
    "/v2/acts/local~pages/runs/{run}",
    "/v2/actors/local~pages/runs/{run}",
    "/v2/acts/local~pages/runs/last",
    "/v2/actors/local%2Fpages/runs/last",
    "/v2/actor-tasks/local~nightly/runs/last",
)


@pytest.fixture(params=ROOTS)
async def below(
    request: pytest.FixtureRequest, start_emulator: StartEmulator, actors: Path
) -> tuple[Emulator, str, dict[str, str]]:
    """An emulator, one path to a finished run, and the run."""
    write_script(
        actors, "pages", items=[{"n": 1}], records={"OUTPUT": {"a": 1}}, requests=["http://one.example/"], log=["read"]
    )
    emulator = await start_emulator()
    await emulator.post("/v2/actor-tasks", {"actId": "local~pages", "name": "nightly"})
    run = (await emulator.post("/v2/actor-tasks/local~nightly/runs?waitForFinish=60", {})).data
    return emulator, request.param.format(run=run["id"]), run


Below = tuple[Emulator, str, dict[str, str]]


async def test_the_dataset(below: Below) -> None:
    emulator, root, run = below

    assert (await emulator.get(f"{root}/dataset")).data["id"] == run["defaultDatasetId"]
    assert (await emulator.post(f"{root}/dataset/items", [{"n": 2}, {"n": 3}])).status == 201
    assert (await emulator.get(f"{root}/dataset/items?offset=1&limit=1")).json == [{"n": 2}]
    xml = await emulator.get(f"{root}/dataset/items?format=xml")
    assert xml.headers["Content-Type"].startswith("application/xml")
    assert xml.body.count(b"<n>") == 3
    assert (await emulator.get(f"{root}/dataset/statistics")).status == 200
    assert (await emulator.ask("PUT", f"{root}/dataset", {"name": "kept"})).data["name"] == "kept"
    assert (await emulator.ask("DELETE", f"{root}/dataset")).status == 204
    assert (await emulator.get(f"{root}/dataset/items")).error == (404, "record-not-found")


async def test_the_store(below: Below) -> None:
    emulator, root, run = below
    store = f"{root}/key-value-store"

    assert (await emulator.get(store)).data["id"] == run["defaultKeyValueStoreId"]
    assert [key["key"] for key in (await emulator.get(f"{store}/keys")).data["items"]] == ["INPUT", "OUTPUT"]
    assert (await emulator.ask("PUT", f"{store}/records/page", b"<p>", Content_Type="text/html")).status == 201
    page = await emulator.get(f"{store}/records/page?attachment=1")
    assert (page.body, page.headers["Content-Type"]) == (b"<p>", "text/html")
    assert (await emulator.get(f"{store}/records")).body.startswith(b"PK")
    assert (await emulator.ask("DELETE", f"{store}/records/page")).status == 204
    assert (await emulator.get(f"{store}/records/page")).error == (404, "record-not-found")


async def test_the_queue(below: Below) -> None:
    emulator, root, run = below
    queue, id_ = f"{root}/request-queue", request_id("http://one.example/")

    assert (await emulator.get(queue)).data["id"] == run["defaultRequestQueueId"]
    assert (await emulator.get(f"{queue}/requests/{id_}")).data["url"] == "http://one.example/"
    assert [one["id"] for one in (await emulator.get(f"{queue}/requests")).data["items"]] == [id_]
    assert [one["id"] for one in (await emulator.get(f"{queue}/head")).data["items"]] == [id_]
    added = await emulator.post(f"{queue}/requests", {"url": "http://two.example/", "uniqueKey": "two"})
    assert (added.status, added.data["requestId"]) == (201, request_id("two"))
    assert (await emulator.ask("DELETE", f"{queue}/requests/{id_}")).status == 204
    assert (await emulator.get(f"{queue}/requests/{id_}")).error == (404, "record-not-found")


async def test_the_run_itself_its_log_and_what_can_be_done_with_it(below: Below) -> None:
    emulator, root, run = below

    assert (await emulator.get(f"{root}?waitForFinish=1")).data["id"] == run["id"]
    assert b"read" in (await emulator.get(f"{root}/log?stream=1")).body
    assert (await emulator.post(f"{root}/abort")).data["status"] == "SUCCEEDED"
    assert (await emulator.post(f"{root}/reboot")).error == (400, "invalid-request")
    metamorph = f"{root}/metamorph?targetActorId=local~pages"
    assert (await emulator.post(metamorph, {})).error == (400, "invalid-request")
    assert (await emulator.post(f"{root}/resurrect?timeout=9")).data["options"]["timeoutSecs"] == 9
    assert (await emulator.get(f"{root}?waitForFinish=60")).data["status"] == "SUCCEEDED"


@pytest.mark.parametrize("below", [root for root in ROOTS if root.endswith("last")], indirect=True)
async def test_the_last_run_and_all_below_it_is_chosen_by_status_and_origin(below: Below) -> None:
    emulator, root, _ = below

    for path in ("", "/log", "/dataset", "/dataset/items", "/key-value-store/keys", "/request-queue/head"):
        for query, status in (("status=SUCCEEDED&origin=API", 200), ("status=FAILED", 404), ("origin=SCHEDULER", 404)):
            assert (await emulator.get(f"{root}{path}?{query}")).status == status, (path, query)
        assert (await emulator.get(f"{root}{path}", token=None)).error == (401, "token-not-provided")
