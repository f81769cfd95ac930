"""Runs that nobody announced, found in lists of the stand-in's."""

from typing import Any

import pytest

from config.contracts.errors import Transient
from config.contracts.run import Run
from config.contracts.source import Listing, Reconcile, Worded
from config.sources.ittybit import lists
from tests.ittybit.asking import Project


async def ended(ittybit: Project, started_after: float = 0.0, **of: str) -> list[Run]:
    return [run async for run in ittybit.source.ended_runs(ittybit.api, started_after=started_after, **of)]


async def trouble(ittybit: Project) -> str:
    with pytest.raises(Transient) as caught:
        await ended(ittybit)
    assert caught.value.reason == "source_unavailable"
    return caught.value.detail


def filled(ittybit: Project, count: int) -> list[str]:
    """So many runs, a minute apart; their ids, the newest first."""
    for number in range(count):
        ittybit.place.add_run(f"run_{number}", created_at=60 * number, finished_at=60 * number + 30)
    return [f"run_{number}" for number in reversed(range(count))]


@pytest.mark.parametrize("links", [True, False])
async def test_a_list_is_read_to_its_end_however_it_says_where_it_goes_on(ittybit: Project, links: bool) -> None:
    ids = filled(ittybit, 250)
    ittybit.place.links = links
    found = await ended(ittybit)
    assert [run.id for run in found] == ids
    first = "GET /runs?order=desc&limit=100"
    assert ittybit.place.paths() == [first, f"{first}&after=run_150", f"{first}&after=run_50"]


async def test_a_listed_run_is_the_one_that_is_asked_for_by_itself(ittybit: Project) -> None:
    ittybit.place.add_run("run_1", "cancelled", tasks=[ittybit.place.add_task("task_1", status="cancelled")])
    [listed] = await ended(ittybit)
    run = await ittybit.run("run_1")
    assert (listed.id, listed.status, listed.life, listed.finished) == (run.id, run.status, run.life, run.finished)
    assert (listed.terminal, listed.succeeded) == (True, False)


async def test_only_runs_that_have_ended_are_found(ittybit: Project) -> None:
    for status in ("succeeded", "processing", "cancelled", "paused", "failed"):
        ittybit.place.add_run(f"run_{status}", status)
    assert [run.status for run in await ended(ittybit)] == ["failed", "cancelled", "succeeded"]


async def test_nothing_is_asked_for_beyond_the_moment_that_matters(ittybit: Project) -> None:
    filled(ittybit, 250)
    found = await ended(ittybit, started_after=60.0 * 200)
    assert [run.id for run in found] == [f"run_{number}" for number in reversed(range(200, 250))]
    assert len(ittybit.place.asked) == 1


async def test_jobs_are_listed_where_work_is_called_so(ittybit: Project) -> None:
    ittybit.place.add_run("run_1")
    ittybit.place.add_job("job_1", created_at=5_000_000_000_000, finished_at=5_000_000_015_000)
    ittybit.place.add_job("job_2", created_at=5_000_000_020_000, finished_at=5_000_000_025_000)
    jobs = ittybit.other(work="jobs")
    assert [(run.id, run.finished) for run in await ended(jobs)] == [("job_2", 5000000025.0), ("job_1", 5000000015.0)]
    assert [run.id for run in await ended(jobs, started_after=5_000_000_010.0)] == ["job_2"]


async def test_there_are_no_programs_that_runs_could_be_of(ittybit: Project) -> None:
    filled(ittybit, 1)
    assert await ended(ittybit, actor="a") == await ended(ittybit, task="t") == []
    assert ittybit.place.asked == []


async def test_a_relative_link_begins_at_the_page_that_names_it(ittybit: Project) -> None:
    ittybit.place.refuse(
        "/runs", 200, body=b'[{"id": "run_2", "status": "failed"}]', times=1, Link='<?after=run_2>; rel="next"'
    )
    ittybit.place.add_run("run_1")
    assert [run.id for run in await ended(ittybit)] == ["run_2", "run_1"]
    assert ittybit.place.paths() == ["GET /runs?order=desc&limit=100", "GET /runs?after=run_2"]


@pytest.mark.parametrize(
    "address", ["https://elsewhere.test/runs?after=1", "//elsewhere.test/runs", "http://127.0.0.1:1/runs"]
)
async def test_a_list_that_leads_elsewhere_is_not_followed(ittybit: Project, address: str) -> None:
    ittybit.place.refuse("/runs", 200, body=b"[]", Link=f'<{address}>; rel="next"')
    assert await trouble(ittybit) == "the platform's answer leads on to another place than the API"


@pytest.mark.parametrize("onwards", [{"Link": '</runs?after=run_1>; rel="next"'}, {"Has_More": "true"}])
async def test_a_list_that_leads_back_to_itself_ends(ittybit: Project, onwards: dict[str, Any]) -> None:
    ittybit.place.refuse("/runs", 200, body=b'[{"id": "run_1", "status": "failed", "created_at": 1}]', **onwards)
    assert await trouble(ittybit) == "the platform's answer leads back to a page of the list that came before"


async def test_an_empty_page_of_a_list_that_goes_on_is_no_end(ittybit: Project) -> None:
    ittybit.place.refuse("/runs", 200, body=b"[]", Has_More="true")
    assert await trouble(ittybit) == "the platform's answer is an empty page of a list that goes on"


async def test_a_list_without_end_ends(ittybit: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "PAGES", 2)
    filled(ittybit, 200)
    assert len(await ended(ittybit)) == 200
    filled(ittybit, 201)
    assert await trouble(ittybit) == "the platform's answer is of a list that does not end"


@pytest.mark.parametrize("body", [b"{}", b'[{"status": "failed"}]', b"[1]", b"<html>"])
async def test_a_list_that_is_none_is_nobodys_to_believe(ittybit: Project, body: bytes) -> None:
    ittybit.place.refuse("/runs", 200, body=body)
    assert (await trouble(ittybit)).startswith("the platform's answer is not the JSON its pages promise")


async def test_a_run_that_began_at_no_moment_is_nobodys_to_believe(ittybit: Project) -> None:
    ittybit.place.add_run("run_1", created_at="soon")
    assert await trouble(ittybit) == "the platform's answer has a moment that is none"


async def test_a_run_that_does_not_say_when_it_began_is_found(ittybit: Project) -> None:
    ittybit.place.add_run("run_1", created_at=None)
    assert [run.id for run in await ended(ittybit, started_after=5e9)] == ["run_1"]


async def test_what_the_file_says_about_looking(ittybit: Project) -> None:
    assert isinstance(ittybit.source, Listing)
    assert isinstance(ittybit.source, Worded)
    assert ittybit.source.reconcile is None
    looking = ittybit.other(reconcile={"every": "5m"}, webhook=None)
    assert looking.source.reconcile == Reconcile(every=300.0, announced=False)
