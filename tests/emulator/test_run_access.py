"""Whose runs are whose, and who may look at them."""

from pathlib import Path

import pytest

from tests.emulator.conftest import Emulator, StartEmulator
from tests.emulator.scripted import write_script


@pytest.fixture
async def platform(start_emulator: StartEmulator, actors: Path) -> Emulator:
    write_script(actors, "pages", items=[{"n": 1}], records={"OUTPUT": 1})
    return await start_emulator(strangers={"s": "stranger"})


async def test_only_who_started_a_run_may_delete_or_change_it(platform: Emulator) -> None:
    run = await platform.finish(await platform.start("pages"))
    path = f"/v2/actor-runs/{run['id']}"

    for method, below in (("DELETE", ""), ("PUT", ""), ("POST", "/abort"), ("POST", "/resurrect"), ("POST", "/reboot")):
        answer = await platform.ask(method, path + below, {}, token="s")
        assert answer.error[0] == 403, (method, below)
    assert (await platform.ask("DELETE", path, token="t")).status == 204


async def test_runs_of_others_are_in_no_list_and_are_nobodys_last(platform: Emulator) -> None:
    run = await platform.finish(await platform.start("pages"))

    assert (await platform.get("/v2/actor-runs", token="s")).data["total"] == 0
    assert (await platform.get("/v2/actors/local~pages/runs", token="s")).data["total"] == 0
    assert (await platform.get("/v2/actors/local~pages/runs/last", token="s")).error == (404, "record-not-found")
    own = (await platform.ask("POST", "/v2/actors/local~pages/runs?waitForFinish=60", {}, token="s")).data
    assert own["userId"] != run["userId"]
    assert (await platform.get("/v2/actors/local~pages/runs/last", token="s")).data["id"] == own["id"]
    assert (await platform.get("/v2/actors/local~pages/runs/last")).data["id"] == run["id"]


async def test_a_run_is_closed_and_opened_with_all_that_is_below_it(platform: Emulator) -> None:
    run = await platform.finish(await platform.start("pages"))
    path = f"/v2/actor-runs/{run['id']}"
    places = [
        *(path, f"{path}/log", f"/v2/logs/{run['id']}", f"{path}/dataset/items", f"{path}/key-value-store/keys"),
        *(f"/v2/datasets/{run['defaultDatasetId']}/items", f"/v2/actors/local~pages/runs/{run['id']}"),
        f"/v2/key-value-stores/{run['defaultKeyValueStoreId']}/records/OUTPUT",
    ]

    for level, status in (("RESTRICTED", 401), ("ANYONE_WITH_ID_CAN_READ", 200), ("RESTRICTED", 401)):
        changed = (await platform.ask("PUT", path, {"generalAccess": level})).data
        assert changed["generalAccess"] == level
        assert {place: (await platform.get(place, token=None)).status for place in places} == dict.fromkeys(
            places, status
        )
    assert (await platform.ask("PUT", path, {"generalAccess": "EVERYBODY"})).error == (400, "invalid-input")


async def test_costs_are_hidden_from_those_without_a_token(platform: Emulator) -> None:
    run = await platform.finish(await platform.start("pages"))

    shown = (await platform.get(f"/v2/actor-runs/{run['id']}", token=None)).data

    assert run.keys() - shown.keys() == {"usageUsd", "usageTotalUsd"}
    assert (await platform.get(f"/v2/actor-runs/{run['id']}?token=t")).data.keys() == run.keys()


async def test_a_run_is_found_only_below_its_own_actor(platform: Emulator, actors: Path) -> None:
    run = await platform.finish(await platform.start("pages"))

    assert (await platform.get(f"/v2/acts/local~pages/runs/{run['id']}")).data["id"] == run["id"]
    assert (await platform.get(f"/v2/acts/runrelay~pydoc-crawler/runs/{run['id']}")).error == (404, "record-not-found")
    assert (await platform.get(f"/v2/acts/nobody/runs/{run['id']}")).error == (404, "actor-not-found")
