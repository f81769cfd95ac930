"""Runs, jobs and tasks as the stand-in tells them, in our words."""

from typing import Any

import pytest

from config.contracts.errors import NotFound, Permanent, Transient
from config.contracts.run import Run
from config.sources.ittybit import Config, works
from config.wire.moments import NEVER_SAID
from tests.ittybit.asking import Project
from tests.ittybit.standin import job_task

TIMES: dict[str, Any] = {
    "created_at": 1735689600,
    "started_at": 1735689601,
    "finished_at": 1735689615,
    "updated_at": 1735689620,
}
LIFE = "2025-01-01T00:00:15.000Z"


async def trouble(ittybit: Project, run_id: str) -> str:
    with pytest.raises(Transient) as caught:
        await ittybit.run(run_id)
    assert caught.value.reason == "source_unavailable"
    return caught.value.detail


async def test_a_run_comes_with_its_tasks_whole_and_their_outputs_in_one_list(ittybit: Project) -> None:
    video = {"object": "file", "kind": "video", "url": "https://x.test/v.mp4", "format": "mp4"}
    first = ittybit.place.add_task("task_1", outputs=[video])
    second = ittybit.place.add_task("task_2", "speech", outputs=[{"text": "a talk"}])
    fields = ittybit.place.add_run("run_1", tasks=[first, second], **TIMES)
    about = {"task_kind": "video", "number": 0, "kind": "video", "object": "file", "format": "mp4"}
    talk = {"task_id": "task_2", "task_kind": "speech", "number": 0, "kind": "speech", "text": "a talk"}
    outputs = [
        {"task_id": "task_1", **about, "url": "https://x.test/v.mp4"},
        {**talk, "output": {"text": "a talk"}},
    ]
    assert await ittybit.run("run_1") == Run(
        id="run_1",
        source="videos",
        status="succeeded",
        terminal=True,
        succeeded=True,
        life=LIFE,
        finished=1735689615.0,
        account="",
        datasets={"default": "run_1"},
        stores={"default": "run_1"},
        fields={**fields, "tasks": [first, second], "outputs": outputs},
    )
    assert ittybit.place.paths() == ["GET /runs/run_1", "GET /tasks/task_1", "GET /tasks/task_2"]


@pytest.mark.parametrize(
    ("status", "terminal", "succeeded"),
    [(status, True, True) for status in ("succeeded", "completed", "ready")]
    + [(status, True, False) for status in ("failed", "error", "cancelled", "canceled")]
    + [(status, False, False) for status in ("pending", "waiting", "validating", "queued", "processing", "finishing")]
    + [("paused", False, False), ("", False, False), ("SUCCEEDED", False, False)],
)
async def test_how_a_run_stands_is_told_by_its_status(
    ittybit: Project, status: str, terminal: bool, succeeded: bool
) -> None:
    ittybit.place.add_run("run_1", status, tasks=[ittybit.place.add_task("task_1")], **TIMES)
    run = await ittybit.run("run_1")
    assert (run.status, run.terminal, run.succeeded) == (status, terminal, succeeded)
    assert (run.life, run.finished) == ((LIFE, 1735689615.0) if terminal else ("", 0.0))
    assert len(ittybit.place.asked) == (2 if terminal else 1), "the tasks of a run that goes on are not asked for"


@pytest.mark.parametrize(
    ("times", "life", "finished"),
    [
        ({}, LIFE, 1735689615.0),
        ({"finished_at": 1735689615123}, "2025-01-01T00:00:15.123Z", 1735689615.123),
        ({"finished_at": "2025-01-01T00:00:15Z"}, "2025-01-01T00:00:15Z", 1735689615.0),
        ({"finished_at": None}, "2025-01-01T00:00:20.000Z", 1735689620.0),
        ({"finished_at": None, "updated_at": None}, "2025-01-01T00:00:00.000Z", 1735689600.0),
        ({"finished_at": None, "updated_at": None, "created_at": None}, NEVER_SAID, 0.0),
    ],
)
async def test_a_life_is_the_moment_of_the_end_or_the_last_that_is_told(
    ittybit: Project, times: dict[str, Any], life: str, finished: float
) -> None:
    ittybit.place.add_run("run_1", "cancelled", **{**TIMES, **times})
    run = await ittybit.run("run_1")
    assert (run.life, run.finished) == (life, finished)


@pytest.mark.parametrize("moment", ["soon", "", True, -1, 1e300])
async def test_an_end_at_no_moment_is_none_to_believe(ittybit: Project, moment: Any) -> None:
    ittybit.place.add_run("run_1", **{**TIMES, "finished_at": moment})
    assert (await trouble(ittybit, "run_1")).startswith("the platform's answer ")


@pytest.mark.parametrize(
    ("run_id", "asked"),
    [
        ("run_9", ["runs", "jobs"]),
        ("other9", ["runs", "jobs"]),
        ("task_9", ["tasks", "jobs"]),
        ("job_9", ["jobs"]),
        ("..", ["runs", "jobs"]),
    ],
)
async def test_an_id_is_looked_for_where_it_may_be(ittybit: Project, run_id: str, asked: list[str]) -> None:
    with pytest.raises(NotFound) as caught:
        await ittybit.run(run_id)
    assert caught.value.detail == f"HTTP 404 {asked[0][:-1]}_not_found: No {asked[0][:-1]} has this ID."
    assert ittybit.place.paths() == [f"GET /{one}/{run_id.replace('.', '%2E')}" for one in asked]


async def test_an_account_of_jobs_is_asked_for_jobs_first(ittybit: Project) -> None:
    jobs = ittybit.other(work="jobs")
    for run_id in ("x", "run_x"):
        with pytest.raises(NotFound):
            await jobs.run(run_id)
    assert ittybit.place.paths() == ["GET /jobs/x", "GET /runs/x", "GET /runs/run_x", "GET /jobs/run_x"]


async def test_a_job_has_its_tasks_with_it_and_counts_in_milliseconds(ittybit: Project) -> None:
    task = job_task("task_1", output={"url": "https://x.test/v.mp4"})
    job = ittybit.place.add_job("job_1", output="https://x.test/v.mp4", tasks=[task], finished_at=1735689615123)
    run = await ittybit.run("job_1")
    assert (run.id, run.life, run.finished) == ("job_1", "2025-01-01T00:00:15.123Z", 1735689615.123)
    about = {"task_id": "task_1", "task_kind": "video", "number": 0, "kind": "video", "url": "https://x.test/v.mp4"}
    assert run.fields == {**job, "outputs": [about]}
    assert ittybit.place.paths() == ["GET /jobs/job_1"]


async def test_a_webhook_may_call_a_job_by_the_id_of_a_task(ittybit: Project) -> None:
    ittybit.place.add_job("task_1", output="https://x.test/v.mp4")
    assert (await ittybit.run("task_1")).fields["object"] == "job"


async def test_a_task_may_be_known_by_itself(ittybit: Project) -> None:
    ittybit.place.tasks["task_1"] = job_task("task_1", output={"url": "https://x.test/v.mp4"})
    run = await ittybit.run("task_1")
    assert (run.id, run.terminal, [task["id"] for task in run.fields["tasks"]]) == ("task_1", True, ["task_1"])


@pytest.mark.parametrize("status", ["processing", "waiting", "finishing"])
async def test_a_task_that_goes_on_is_waited_for_although_its_run_succeeded(ittybit: Project, status: str) -> None:
    task = ittybit.place.add_task("task_1", status=status, outputs=[{"n": 1}])
    ittybit.place.add_run("run_1", tasks=[task])
    said = "the platform's answer has the task 'task_1' go on although the whole has succeeded"
    assert await trouble(ittybit, "run_1") == said
    ittybit.place.add_job("job_1", tasks=[job_task("task_1", status=status)])
    assert await trouble(ittybit, "job_1") == said
    task["status"] = "succeeded"
    assert (await ittybit.run("run_1")).fields["tasks"] == [task]


async def test_a_task_that_says_nothing_of_what_it_put_out_is_waited_for(ittybit: Project) -> None:
    task = ittybit.place.add_task("task_1")
    ittybit.place.add_run("run_1", tasks=[task])
    del task["outputs"]
    said = "the platform's answer does not say what the task 'task_1' put out although the whole has succeeded"
    assert await trouble(ittybit, "run_1") == said
    task["outputs"] = None
    assert await trouble(ittybit, "run_1") == said
    task["output"] = None
    assert (await ittybit.run("run_1")).succeeded


@pytest.mark.parametrize("status", ["failed", "cancelled"])
async def test_tasks_of_a_run_that_did_not_succeed_may_lack_anything(ittybit: Project, status: str) -> None:
    task = ittybit.place.add_task("task_1", status="waiting")
    ittybit.place.add_run("run_1", status, tasks=[task])
    del task["outputs"]
    assert (await ittybit.run("run_1")).status == status


async def test_a_run_that_names_no_tasks_has_those_that_name_it(ittybit: Project) -> None:
    for number in range(120):
        ittybit.place.add_task(f"task_{number}", run_id="run_1" if number != 7 else "run_2")
    ittybit.place.add_run("run_1", tasks=None)
    run = await ittybit.run("run_1")
    assert [task["id"] for task in run.fields["tasks"]] == [f"task_{number}" for number in range(120) if number != 7]
    assert ittybit.place.paths()[1:] == [
        "GET /tasks?run_id=run_1&order=asc&limit=100",
        "GET /tasks?run_id=run_1&order=asc&limit=100&after=task_100",
    ]


async def test_tasks_of_another_run_are_never_taken_for_its_own(ittybit: Project) -> None:
    ittybit.place.add_task("task_1", run_id="run_2")
    ittybit.place.add_run("run_1", tasks=None)
    ittybit.place.filters = False
    assert await trouble(ittybit, "run_1") == "the platform's answer has tasks of other runs than it was asked for"


async def test_a_task_that_is_not_there_yet_is_waited_for(ittybit: Project) -> None:
    ittybit.place.add_run("run_1", tasks=[ittybit.place.add_task("task_1")])
    del ittybit.place.tasks["task_1"]
    detail = "a task that its run names is not there: HTTP 404 task_not_found: No task has this ID."
    assert await trouble(ittybit, "run_1") == detail


async def test_a_run_has_so_many_tasks_and_no_more(ittybit: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(works, "TASKS", 2)
    tasks = [ittybit.place.add_task(f"task_{number}") for number in range(3)]
    ittybit.place.add_run("run_1", tasks=tasks[:2])
    assert len((await ittybit.run("run_1")).fields["tasks"]) == 2
    ittybit.place.add_run("run_1", tasks=tasks)
    with pytest.raises(Permanent, match="the run has more than 2 tasks"):
        await ittybit.run("run_1")


async def test_a_run_and_its_tasks_are_so_large_together(ittybit: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(works, "BYTES", 5000)
    tasks = [ittybit.place.add_task(f"task_{number}", outputs=["x" * 2000]) for number in range(3)]
    ittybit.place.add_run("run_1", tasks=tasks)
    with pytest.raises(Permanent) as caught:
        await ittybit.run("run_1")
    detail = "what the platform tells of a run and its tasks is more than 5000 bytes"
    assert (caught.value.reason, caught.value.detail) == ("source_refused", detail)


async def test_of_a_large_analysis_only_its_size_goes_along(ittybit: Project) -> None:
    large, small = {"text": "x" * 20_000}, {"text": "a talk"}
    ittybit.place.add_run("run_1", tasks=[ittybit.place.add_task("task_1", "speech", outputs=[large, small])])
    run = await ittybit.run("run_1")
    [task] = run.fields["tasks"]
    assert task["outputs"] == [{"omitted_bytes": 20_011}, small]
    assert [output["output"] for output in run.fields["outputs"]] == [{"omitted_bytes": 20_011}, small]
    page = await ittybit.source.page(ittybit.api, run, "run_1", offset=0, limit=9, most=100_000)
    assert (page.count, len(page.lines) > 20_000) == (2, True)


async def test_of_very_many_analyses_only_their_sizes_go_along(ittybit: Project) -> None:
    outputs = [{"text": "x" * 10_000}] * 30
    ittybit.place.add_run("run_1", tasks=[ittybit.place.add_task("task_1", "speech", outputs=outputs)])
    run = await ittybit.run("run_1")
    assert [output["output"] for output in run.fields["outputs"]] == [{"omitted_bytes": 10_011}] * 30


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b"null",
        b'{"id": "run_1"}',
        b'{"id": 1, "status": "succeeded"}',
        b'{"id": "run_1", "status": "succeeded", "tasks": {}}',
        b'{"meta": {}, "data": {"id": "run_1", "status": "completed"}, "error": null, "links": {}}',
        b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:24]),
)
async def test_an_answer_that_is_no_run_is_nobodys_to_believe(ittybit: Project, body: bytes) -> None:
    ittybit.place.refuse("/runs/run_1", 200, body=body)
    detail = "is not the JSON its pages promise: is there a proxy in between, or `version` an old one?"
    assert await trouble(ittybit, "run_1") == f"the platform's answer {detail}"


async def test_a_version_is_asked_for_only_if_the_file_says_one(ittybit: Project) -> None:
    ittybit.place.add_run("run_1")
    await ittybit.run("run_1")
    await ittybit.other(version="2025-12-01").run("run_1")
    assert [one.headers.get("accept-version") for one in ittybit.place.asked] == [None, "2025-12-01"]


async def test_people_and_templates_see_the_run(ittybit: Project) -> None:
    ittybit.place.add_run("run_1", tasks=[ittybit.place.add_task("task_1")], metadata={"order": "42"})
    run = await ittybit.run("run_1")
    described = ittybit.source.describe(run)
    assert described["run"]["metadata"] == {"order": "42"}
    assert (described["actor"], described["task"]) == ({"id": "", "name": ""}, {"id": "", "name": ""})


def test_without_a_key_there_is_no_source() -> None:
    with pytest.raises(ValueError, match="ittybit dashboard, API keys"):
        Config.model_validate({"token": " "})
