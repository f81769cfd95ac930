"""Runs that nobody announced, at a platform that the file describes."""

from typing import Any

import pytest

from config.contracts.errors import NotFound, Permanent, Transient
from config.contracts.run import Run
from config.contracts.source import Listing, Reconcile
from config.sources.generic.runs import MOST
from tests.config.sources.generic_place import Generic, source

OPTIONS: dict[str, Any] = {
    "run": {
        "fetch": "/jobs/{id}",
        "status": "status",
        "succeeded": "done",
        "failed": "broken",
        "finished": "ended",
        "program": "what",
    },
    "runs": {"fetch": "/next?sort=-started", "at": "found.rows", "paging": "next", "started": "began"},
    "reconcile": {"every": "5m"},
}


def job(number: int, **fields: Any) -> dict[str, Any]:
    """The newest first."""
    began = 2000.0 - number
    return {"id": f"r{number}", "status": "done", "began": began, "ended": began + 1, "what": "crawl", **fields}


async def ended(made: Generic, jobs: list[Any], options: dict[str, Any] | None = None, **asked: Any) -> list[Run]:
    made.lists(jobs)
    platform, api = made.source(OPTIONS if options is None else options)
    found = platform.ended_runs(api, **{"started_after": 0.0, **asked})
    return [run async for run in found]


async def test_those_that_have_ended_are_found_page_by_page(made: Generic) -> None:
    jobs = [job(0, status="running"), job(1), job(2, status="broken"), job(3, status="never heard of"), job(4)]
    found = await ended(made, jobs)
    assert [(run.id, run.succeeded, run.finished) for run in found] == [
        ("r1", True, 2000.0),
        ("r2", False, 1999.0),
        ("r4", True, 1997.0),
    ]
    assert found[0].life == "1970-01-01T00:33:20.000Z"
    assert made.asked == ["/v1/next?sort=-started", "/v1/next?from=3"]


async def test_a_list_is_left_where_runs_are_too_old(made: Generic) -> None:
    found = await ended(made, [job(n) for n in range(9)], started_after=1998.0)
    assert [run.id for run in found] == ["r0", "r1", "r2"]
    assert len(made.asked) == 2


async def test_runs_may_be_those_of_one_program(made: Generic) -> None:
    jobs = [job(0, what="other"), job(1)]
    assert [run.id for run in await ended(made, jobs, actor="crawl")] == ["r1"]
    with pytest.raises(NotFound):
        await ended(made, jobs, task="nightly")


async def test_a_list_may_have_the_oldest_first(made: Generic) -> None:
    jobs = [job(n) for n in (8, 7, 6, 2, 1, 0)]
    assert [run.id for run in await ended(made, jobs, started_after=1998.0)] == ["r2", "r1", "r0"]


async def test_a_list_without_an_end_is_followed_for_a_while_and_then_told(made: Generic) -> None:
    jobs = [job(0, id=f"r{n}") for n in range(MOST + 10)]
    made.says("/jobs", jobs)
    platform, api = made.source(OPTIONS | {"runs": {"fetch": "/jobs"}})
    runs = platform.ended_runs(api, started_after=0.0)
    assert [(await anext(runs)).id for _ in range(MOST)] == [one["id"] for one in jobs[:MOST]]
    with pytest.raises(Permanent, match=f"`runs` lists more than {MOST}"):
        await anext(runs)


async def test_a_list_that_does_not_say_when_runs_ended_is_told(made: Generic) -> None:
    with pytest.raises(Permanent, match=r"`runs` lists 'r1' as ended and says nothing at `run.finished`"):
        await ended(made, [job(0, status="running", ended=None), job(1, ended=None)])


@pytest.mark.parametrize(
    ("element", "detail"),
    [
        (7, "the platform's answer lists something as a run that is no object: check `runs.at`"),
        ({"began": 1}, "the platform's answer lists a run without an id at `id`: check `runs.id`"),
        ({"id": "a b"}, "the platform's answer lists a run without an id at `id`: check `runs.id`"),
        (
            {"id": "r", "began": "early"},
            "the platform's answer has something at `began`, where `runs.started` looks, that is no moment",
        ),
        (
            {"id": "r", "status": "done", "ended": "late"},
            "the platform's answer has something at `ended`, where `run.finished` looks, that is no moment",
        ),
    ],
)
async def test_a_list_of_another_shape_is_trouble_that_may_pass(made: Generic, element: object, detail: str) -> None:
    with pytest.raises(Transient) as caught:
        await ended(made, [element])
    assert caught.value.detail == detail


async def test_nobody_looks_unless_the_file_says_so(made: Generic) -> None:
    platform = source({})
    assert isinstance(platform, Listing)
    assert platform.reconcile is None
    assert made.source(OPTIONS)[0].reconcile == Reconcile(every=300.0, lookback=3 * 86400.0, announced=True)
    with pytest.raises(Permanent) as caught:
        await ended(made, [], {})
    assert caught.value.detail == "nothing says where its runs are listed: set `runs.fetch` of the source"
