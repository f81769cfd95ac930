"""Tasks: kept with their inputs and options, and run."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.clients import KINDS, client_of
from tests.emulator.conftest import Emulator, StartEmulator
from tests.emulator.scripted import write_script


@pytest.fixture
async def platform(start_emulator: StartEmulator, actors: Path) -> Emulator:
    schema = {"properties": {"depth": {"type": "integer", "default": 3}, "url": {"type": "string"}}}
    write_script(actors, "pages", {"input": schema}, items=[{"n": 1}], records={"OUTPUT": 1}, log=["reading"])
    write_script(actors, "endless", duration="1h")
    return await start_emulator(clock_factor=1.0)


@pytest.fixture(params=KINDS)
def client(platform: Emulator, request: pytest.FixtureRequest) -> Any:
    return client_of(request.param, platform.url)


async def make(emulator: Emulator, **fields: Any) -> dict[str, Any]:
    return dict((await emulator.post("/v2/actor-tasks", {"actId": "local~pages", **fields})).data)


async def test_tasks_are_created_read_updated_listed_and_deleted(client: Any) -> None:
    actor = await client.actor("local/pages").get()

    made = await client.tasks().create(
        actor_id=actor.id,
        name="nightly",
        title="Every night",
        task_input={"url": "http://a.example/"},
        build="latest",
        memory_mbytes=512,
        run_timeout=timedelta(seconds=60),
        max_items=9,
        restart_on_error=True,
    )
    task = client.task(made.id)
    updated = await task.update(name="daily", memory_mbytes=1024)
    listed = await client.tasks().list(limit=5, desc=True)

    assert (made.act_id, made.name, made.title, made.username) == (actor.id, "nightly", "Every night", "local")
    assert (made.options.memory_mbytes, made.options.timeout_secs, made.options.max_items) == (512, 60, 9)
    assert (updated.name, updated.options.memory_mbytes) == ("daily", 1024)
    assert (await client.task("local/daily").get()).id == made.id
    assert [(item.id, item.act_name, item.act_username) for item in listed.items] == [(made.id, "pages", "local")]
    await task.delete()
    assert await task.get() is None


async def test_the_input_of_a_task_is_read_and_updated(client: Any) -> None:
    made = await client.tasks().create(actor_id="local~pages", name="nightly", task_input={"url": "u", "depth": 1})
    task = client.task(made.id)

    assert await task.get_input() == {"url": "u", "depth": 1}
    assert await task.update_input(task_input={"depth": 2}) == {"url": "u", "depth": 2}
    assert await task.get_input() == {"url": "u", "depth": 2}


async def test_a_task_is_started_called_and_its_runs_are_found(client: Any) -> None:
    made = await client.tasks().create(actor_id="local~pages", name="nightly", memory_mbytes=512)
    task = client.task("local/nightly")

    first = await task.start(task_input={"url": "mine"}, run_timeout=timedelta(seconds=77), wait_for_finish=60)
    second = await task.call()

    assert (first.actor_task_id, first.status) == (made.id, "SUCCEEDED")
    assert (first.options.memory_mbytes, first.options.timeout_secs) == (512, 77)
    assert second.status == "SUCCEEDED"
    runs = await task.runs().list(status="SUCCEEDED", desc=True)
    assert [run.id for run in runs.items] == [second.id, first.id]
    last = task.last_run(status="SUCCEEDED", origin="API")
    assert (await last.get()).id == second.id
    assert (await last.dataset().list_items()).items == [{"n": 1}]
    assert (await last.key_value_store().get_record("OUTPUT"))["value"] == 1
    assert (await last.request_queue().list_head()).items == []
    assert "reading" in await last.log().get()
    assert (await task.get()).stats.total_runs == 2


@pytest.mark.parametrize(
    ("task_input", "body", "kept"),
    [
        ({"url": "task", "depth": 5}, {"url": "run"}, {"url": "run", "depth": 5}),
        ({"url": "task"}, None, {"url": "task", "depth": 3}),
        (None, {"url": "run"}, {"url": "run", "depth": 3}),
        (None, None, {"depth": 3}),
    ],
)
async def test_the_body_lies_over_the_tasks_input_and_that_over_the_schemas_defaults(
    platform: Emulator, task_input: Any, body: Any, kept: Any
) -> None:
    task = await make(platform, input=task_input)

    run = (await platform.post(f"/v2/actor-tasks/{task['id']}/runs?waitForFinish=60", body)).data

    assert (await platform.get(f"/v2/actor-runs/{run['id']}/key-value-store/records/INPUT")).json == kept


async def test_an_input_that_is_not_json_takes_the_place_of_the_tasks(platform: Emulator) -> None:
    task = await make(platform, input={"url": "task"})

    run = (await platform.post(f"/v2/actor-tasks/{task['id']}/runs", b"a,b", Content_Type="text/csv")).data

    kept = await platform.get(f"/v2/actor-runs/{run['id']}/key-value-store/records/INPUT")
    assert (kept.body, kept.headers["Content-Type"]) == (b"a,b", "text/csv")
    refused = await platform.post(f"/v2/actor-tasks/{task['id']}/runs", b"[1]")
    assert refused.error == (400, "invalid-input")


async def test_options_of_the_request_lie_over_those_of_the_task(platform: Emulator) -> None:
    task = await make(platform, options={"memoryMbytes": 256, "timeoutSecs": 10, "restartOnError": True})

    answer = await platform.post(f"/v2/actor-tasks/{task['id']}/runs?memory=512", {})

    options = answer.data["options"]
    assert (options["memoryMbytes"], options["diskMbytes"], options["timeoutSecs"]) == (512, 1024, 10)
    assert options["restartOnError"] is True
    assert answer.headers["Location"] == f"{platform.url}/v2/actor-tasks/{task['id']}/runs/{answer.data['id']}"


async def test_a_created_task_says_where_it_is_and_gets_a_name_if_it_has_none(platform: Emulator) -> None:
    answer = await platform.post("/v2/actor-tasks", {"actId": "local~pages"})

    assert answer.status == 201
    assert answer.headers["Location"] == f"{platform.url}/v2/actor-tasks/{answer.data['id']}"
    assert answer.data["name"]
    assert answer.data.keys() == {
        *("id", "userId", "username", "actId", "name", "title", "createdAt", "modifiedAt", "options", "input", "stats"),
    }


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"name": "x"}, (404, "actor-not-found")),
        ({"actId": "nobody"}, (404, "actor-not-found")),
        ({"actId": "local~pages", "name": "taken"}, (409, "actor-task-name-not-unique")),
        ({"actId": "local~pages", "name": "no spaces"}, (400, "invalid-input")),
        ({"actId": "local~pages", "input": [1]}, (400, "invalid-input")),
        ({"actId": "local~pages", "options": {"memoryMbytes": 1}}, (400, "invalid-input")),
        ({"actId": "local~pages", "options": {"timeoutSecs": -1}}, (400, "invalid-input")),
        (b"[]", (400, "invalid-input")),
    ],
)
async def test_a_task_that_cannot_be_meant_is_refused(platform: Emulator, body: Any, error: Any) -> None:
    await make(platform, name="taken")

    assert (await platform.post("/v2/actor-tasks", body)).error == error
    assert (await platform.get("/v2/actor-tasks")).data["total"] == 1


async def test_a_name_that_is_taken_cannot_be_given_to_another_task(platform: Emulator) -> None:
    await make(platform, name="first")
    second = await make(platform, name="second")

    renamed = await platform.ask("PUT", "/v2/actor-tasks/local~second", {"name": "first"})

    assert renamed.error == (409, "actor-task-name-not-unique")
    assert (await platform.get(f"/v2/actor-tasks/{second['id']}")).data["name"] == "second"


async def test_tasks_are_nobodys_without_a_token_and_missing_ones_are_404(platform: Emulator) -> None:
    task = await make(platform, name="nightly")

    assert (await platform.get("/v2/actor-tasks/local%2Fnightly")).data["id"] == task["id"]
    assert (await platform.get(f"/v2/actor-tasks/{task['id']}", token=None)).error == (401, "token-not-provided")
    for path in ("", "/input", "/runs", "/runs/last"):
        assert (await platform.get(f"/v2/actor-tasks/nobody{path}")).error == (404, "record-not-found")
    assert (await platform.get(f"/v2/actor-tasks/{task['id']}/runs/last")).error == (404, "record-not-found")


async def test_the_last_run_of_a_task_is_aborted_rebooted_and_metamorphed(platform: Emulator) -> None:
    task = (await platform.post("/v2/actor-tasks", {"actId": "local~endless", "name": "night"})).data
    await platform.post("/v2/actor-tasks/local~night/runs", {})
    last = f"/v2/actor-tasks/{task['id']}/runs/last"
    while (await platform.get(last)).data["status"] != "RUNNING":
        pass

    rebooted = (await platform.post(f"{last}/reboot")).data
    changed = (await platform.post(f"{last}/metamorph?targetActorId=local~endless", {"a": 1})).data
    aborted = (await platform.post(f"{last}/abort")).data

    assert (rebooted["stats"]["rebootCount"], changed["stats"]["metamorph"]) == (1, 1)
    assert aborted["status"] == "ABORTING"
    assert (await platform.get(f"{last}?waitForFinish=60")).data["status"] == "ABORTED"


async def test_runs_of_a_task_are_its_own_and_foreign_tasks_are_shut(
    start_emulator: StartEmulator, actors: Path
) -> None:
    write_script(actors, "pages")
    emulator = await start_emulator(strangers={"s": "stranger"})
    first, second = await make(emulator, name="first"), await make(emulator, name="second")
    plain = await emulator.start("pages")
    runs = [
        (await emulator.post(f"/v2/actor-tasks/{task['id']}/runs?waitForFinish=60", {})).data
        for task in (first, second)
    ]

    for task, run in zip((first, second), runs, strict=True):
        listed = (await emulator.get(f"/v2/actor-tasks/{task['id']}/runs")).data
        assert [one["id"] for one in listed["items"]] == [run["id"]]
        assert (await emulator.get(f"/v2/actor-tasks/{task['id']}/runs/last")).data["id"] == run["id"]
    assert plain["actorTaskId"] is None
    assert (await emulator.get("/v2/actor-tasks", token="s")).data["total"] == 0
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/runs"), ("GET", "/runs/last"), ("PUT", "/input")):
        answer = await emulator.ask(method, f"/v2/actor-tasks/{first['id']}{path}", {}, token="s")
        assert answer.error == (403, "permission-denied"), path
    own = (await emulator.ask("POST", "/v2/actor-tasks", {"actId": "local~pages", "name": "first"}, token="s")).data
    assert (await emulator.get("/v2/actor-tasks/stranger~first", token="s")).data["id"] == own["id"]


async def test_tasks_outlive_the_emulator(platform: Emulator, start_emulator: StartEmulator) -> None:
    task = await make(platform, name="kept", input={"url": "u"})
    await platform.stop()

    again = await start_emulator()

    assert (await again.get("/v2/actor-tasks/local~kept")).data == task
