"""What tasks put out, as records and as items, asked of the stand-in."""

import json
from typing import Any

import pytest

from config.contracts.api import TooLarge
from config.contracts.document import Document
from config.contracts.errors import NotFound, Permanent, Transient, WorkError
from config.contracts.run import Run
from config.contracts.source import Key, Page
from config.sources.ittybit import analyses, records
from config.sources.ittybit.keeping import Kept
from tests.ittybit.asking import Project
from tests.ittybit.standin import job_task

MOST = 1_000_000


async def keys(ittybit: Project, run: Run) -> list[Key]:
    found = await ittybit.source.keys(ittybit.api, run, "default", after=None)
    assert (found.count, found.after, found.at > 1.7e9) == (len(found.keys), None, True)
    return list(found.keys)


async def whole(ittybit: Project, run: Run, key: Key) -> tuple[Document, bytes]:
    async with ittybit.source.record(ittybit.api, run, key) as document:
        return document, b"".join([chunk async for chunk in document.chunks])


async def page(ittybit: Project, run: Run, offset: int = 0, limit: int = 100, most: int = MOST) -> Page:
    return await ittybit.source.page(ittybit.api, run, "default", offset=offset, limit=limit, most=most)


async def items(ittybit: Project, run: Run) -> list[Any]:
    found = await page(ittybit, run)
    count = await ittybit.source.count(ittybit.api, run, "default")
    rows = [json.loads(line) for line in found.lines.splitlines()]
    assert (found.count, found.scanned, found.total, count.rows) == (len(rows),) * 4
    assert min(found.at, count.at) > 1.7e9
    return rows


async def refused(ittybit: Project, run: Run) -> tuple[type[WorkError], str, str]:
    with pytest.raises(WorkError) as caught:
        await page(ittybit, run)
    return type(caught.value), caught.value.reason, caught.value.detail


async def of(ittybit: Project, *outputs: Any, kind: str = "video") -> Run:
    """A run with one task that put this out."""
    ittybit.place.add_run("run_1", tasks=[ittybit.place.add_task("task_1", kind, outputs=outputs)])
    return await ittybit.run("run_1")


async def test_a_file_is_a_record_with_all_that_is_said_of_it(ittybit: Project) -> None:
    video = ittybit.place.add_file("/p1/video.mp4", b"film", width=1920, duration=62.5, filesize=4)
    run = await of(ittybit, video)
    about = {"task_id": "task_1", "task_kind": "video", "number": 0, "object": "file", "kind": "video"}
    about |= {"format": "mp4", "width": 1920, "duration": 62.5, "filesize": 4}
    key = Key(store="default", key="task_1-video.mp4", size=4, url=video["url"], about=about)
    assert await keys(ittybit, run) == [key]
    document, body = await whole(ittybit, run, key)
    assert (document.key, document.content_type, document.size, body) == ("task_1-video.mp4", "video/mp4", 4, b"film")


async def test_several_outputs_have_several_names_and_an_address_comes_once(ittybit: Project) -> None:
    place = ittybit.place
    one, other = place.add_file("/a/x.mp4", b"1"), place.add_file("/b/x.mp4", b"2")
    first = place.add_task("task_1", outputs=[one, other, one])
    second = place.add_task("task_2", outputs=[other, place.add_file("/c/x.mp4", b"3")])
    place.add_run("run_1", tasks=[first, second])
    names = [key.key for key in await keys(ittybit, await ittybit.run("run_1"))]
    assert names == ["task_1-0-x.mp4", "task_1-1-x.mp4", "task_2-1-x.mp4"]


@pytest.mark.parametrize(
    ("output", "name"),
    [
        ({"url": "https://x.test/a/b%20c%2F%C3%A9.mp4?expiry=1&signature=s"}, "task_1-_.mp4"),
        ({"url": "https://x.test/", "kind": "image", "format": "webp"}, "task_1-image.webp"),
        ({"url": "https://x.test"}, "task_1-video.bin"),
        ({"url": "https://x.test/..", "format": "../.."}, "task_1-.."),
        ({"url": "https://x.test/" + "n" * 300 + ".vtt"}, "task_1-" + "n" * 116 + ".vtt"),
        ({"url": "https://[x.test/v.mp4"}, "task_1-video.bin"),
        ("https://x.test/v.mp4", "task_1-v.mp4"),
        ({"url": "s3://bucket/a/v.mp4"}, "task_1-v.mp4.url"),
    ],
)
async def test_names_are_made_of_safe_characters(ittybit: Project, output: Any, name: str) -> None:
    run = await of(ittybit, output)
    assert [key.key for key in await keys(ittybit, run)] == [name]


async def test_a_name_that_two_would_have_goes_to_both_of_them(ittybit: Project) -> None:
    place = ittybit.place
    several = place.add_task("t", outputs=["https://x.test/a", "https://x.test/b"])
    single = place.add_task("t-0", outputs=["https://y.test/a"])
    place.add_run("run_1", tasks=[several, single])
    names = [key.key for key in await keys(ittybit, await ittybit.run("run_1"))]
    assert names == ["t-0-a", "t-1-b", "2-t-0-a"]


async def test_a_file_in_a_bucket_of_ones_own_is_passed_on_as_its_address(ittybit: Project) -> None:
    run = await of(ittybit, {"object": "file", "kind": "video", "url": "s3://bucket/a/v.mp4", "format": "mp4"})
    [key] = await keys(ittybit, run)
    document, body = await whole(ittybit, run, key)
    assert (document.key, document.content_type, document.size) == ("task_1-v.mp4.url", "text/uri-list", 21)
    assert body == b"s3://bucket/a/v.mp4\r\n"
    assert await items(ittybit, run) == []


async def test_a_list_of_files_comes_in_pages(ittybit: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "PAGE", 2)
    run = await of(ittybit, *(f"https://x.test/{n}" for n in range(5)))
    pages: list[list[str]] = []
    after = None
    while not pages or after:
        found = await ittybit.source.keys(ittybit.api, run, "default", after=after)
        pages, after = [*pages, [key.key for key in found.keys]], found.after
    assert pages == [["task_1-0-0", "task_1-1-1"], ["task_1-2-2", "task_1-3-3"], ["task_1-4-4"]]
    with pytest.raises(Transient, match="was listed, and is not any more"):
        await ittybit.source.keys(ittybit.api, run, "default", after="task_9-x")


async def test_an_address_that_is_over_is_asked_for_anew_once(ittybit: Project) -> None:
    old = ittybit.place.add_file("/v.mp4", b"film")
    run = await of(ittybit, "https://x.test/other", old)
    key = (await keys(ittybit, run))[1]
    ittybit.place.expire("/v.mp4")
    ittybit.place.tasks["task_1"]["outputs"][1] = ittybit.place.add_file("/v2.mp4", b"film")
    ittybit.place.asked.clear()
    assert (await whole(ittybit, run, key))[1] == b"film"
    assert ittybit.place.paths() == ["GET /v.mp4", "GET /runs/run_1", "GET /tasks/task_1", "GET /v2.mp4"]


async def test_a_file_of_which_no_address_is_good_is_given_up(ittybit: Project) -> None:
    run = await of(ittybit, ittybit.place.add_file("/v.mp4", b"film"))
    [key] = await keys(ittybit, run)
    ittybit.place.expire("/v.mp4")
    with pytest.raises(Permanent) as caught:
        await whole(ittybit, run, key)
    assert (type(caught.value), caught.value.reason) == (Permanent, "data_expired")
    detail = "HTTP 403 at the address of a file: it is over, or the file is gone"
    assert caught.value.detail == f"{detail}; its task was asked for a fresh one, to no avail"


async def test_a_file_that_its_task_has_no_more_is_gone(ittybit: Project) -> None:
    run = await of(ittybit, ittybit.place.add_file("/v.mp4", b"film"))
    [key] = await keys(ittybit, run)
    ittybit.place.expire("/v.mp4")
    ittybit.place.tasks["task_1"]["outputs"] = []
    with pytest.raises(NotFound, match="does not name the file any more"):
        await whole(ittybit, run, key)


async def test_a_storage_host_with_trouble_says_nothing_about_the_key(ittybit: Project) -> None:
    run = await of(ittybit, ittybit.place.add_file("/v.mp4", b"film"))
    [key] = await keys(ittybit, run)
    ittybit.place.refuse("/v.mp4", 503, Retry_After="7")
    with pytest.raises(Transient) as caught:
        await whole(ittybit, run, key)
    assert (caught.value.detail, caught.value.retry_after) == ("HTTP 503 for a file", 7.0)


async def test_the_key_goes_to_the_api_alone(ittybit: Project) -> None:
    """The stand-in would say so, too, at its end."""
    film, words = ittybit.place.add_file("/v.mp4", b"film"), ittybit.place.add_file("/w.json", b"[]", "text/json")
    run = await of(ittybit, film, words)
    for key in await keys(ittybit, run):
        await whole(ittybit, run, key)
    assert await items(ittybit, run) == []
    shown = {one.path: one.headers.get("authorization") for one in ittybit.place.asked}
    bearer = f"Bearer {ittybit.place.token}"
    assert shown == {"/runs/run_1": bearer, "/tasks/task_1": bearer, "/v.mp4": None, "/w.json": None}


async def test_what_an_address_of_ours_would_reach_is_not_fetched(ittybit: Project) -> None:
    """A task may name any address; only what the operator wrote lies within our network."""
    strict = ittybit.other(file_origins=[])
    run = await of(strict, ittybit.place.add_file("/v.mp4", b"film"))
    [key] = await keys(strict, run)
    with pytest.raises(Permanent) as caught:
        await whole(strict, run, key)
    assert caught.value.detail == (
        f"the platform names an address at `{ittybit.place.files_url}` that no file is fetched from: it is not https; "
        "if it is one of your own, set `file_origins` of the source (generic: `api.file_origins`)"
    )


@pytest.mark.parametrize(
    ("said", "rows"),
    [
        ({"text": "a talk"}, [{"text": "a talk"}]),
        ([{"start": 0}, {"start": 1}], [{"start": 0}, {"start": 1}]),
        ({"task_id": "its own", "a": 1}, [{"task_id": "its own", "a": 1}]),
        ("a summary, see https://x.test", [{"value": "a summary, see https://x.test"}]),
        ([1, "two", None], [{"value": 1}, {"value": "two"}, {"value": None}]),
        (0.5, [{"value": 0.5}]),
        ([], []),
        ({"url": None, "text": "a talk"}, [{"url": None, "text": "a talk"}]),
    ],
)
async def test_an_analysis_in_the_task_is_items(ittybit: Project, said: Any, rows: list[dict[str, Any]]) -> None:
    run = await of(ittybit, said, kind="speech")
    assert await items(ittybit, run) == [{"task_id": "task_1", "task_kind": "speech", **row} for row in rows]
    assert await keys(ittybit, run) == []


NOWHERE = [
    None,
    {"object": "file", "kind": "video"},
    {"object": "file", "kind": "video", "url": None},
    {"object": "file", "kind": "video", "url": ""},
    {"object": "file", "kind": "video", "url": "/files/x.mp4"},
    {"url": "/files/x.mp4"},
]


@pytest.mark.parametrize("said", NOWHERE)
async def test_a_file_that_lies_nowhere_is_not_delivered_as_nothing(ittybit: Project, said: Any) -> None:
    run = await of(ittybit, "https://x.test/v.mp4", said)
    detail = "`outputs.1` of the task 'task_1' names no address that its file lies at: ask the platform, then"
    assert await refused(ittybit, run) == (Permanent, "source_refused", f"{detail} `runrelay retry`")
    with pytest.raises(Permanent, match=r"`outputs.1` of the task 'task_1' names no address"):
        await keys(ittybit, run)


@pytest.mark.parametrize("said", NOWHERE)
async def test_work_that_failed_may_have_files_that_lie_nowhere(ittybit: Project, said: Any) -> None:
    task = ittybit.place.add_task("task_1", status="failed", outputs=["https://x.test/v.mp4", said])
    ittybit.place.add_run("run_1", "failed", tasks=[task])
    run = await ittybit.run("run_1")
    assert [key.key for key in await keys(ittybit, run)] == ["task_1-0-v.mp4" if said else "task_1-v.mp4"]
    assert await items(ittybit, run) == []


async def test_a_task_may_say_that_it_put_out_nothing(ittybit: Project) -> None:
    ittybit.place.add_job("job_1", output=None, tasks=[job_task("task_1", output=None)])
    run = await ittybit.run("job_1")
    assert (await keys(ittybit, run), await items(ittybit, run)) == ([], [])


async def test_a_task_that_is_listed_twice_has_its_rows_once(ittybit: Project) -> None:
    task = ittybit.place.add_task("task_1", "speech", outputs=[{"n": 1}])
    ittybit.place.add_run("run_1", tasks=[task, task])
    assert [row["n"] for row in await items(ittybit, await ittybit.run("run_1"))] == [1]
    twice = job_task("task_1", "speech", output={"n": 1})
    ittybit.place.add_job("job_1", tasks=[twice, twice])
    assert [row["n"] for row in await items(ittybit, await ittybit.run("job_1"))] == [1]


@pytest.mark.parametrize("name", ["a.json", "A.JSON", "none"])
async def test_a_json_file_is_items_too_as_its_numbers_were_written(ittybit: Project, name: str) -> None:
    body = b'[{"n": 1.10,\n "big": 123456789012345678901, "t": "\xc3\xa9"}, 1e400]'
    file = ittybit.place.add_file(f"/{name}", body, "application/json" if name == "none" else "text/plain")
    run = await of(ittybit, file, kind="nsfw")
    front = b'{"task_id":"task_1","task_kind":"nsfw",'
    lines = front + b'"n":1.10,"big":123456789012345678901,"t":"\xc3\xa9"}\n' + front + b'"value":1e400}\n'
    assert await page(ittybit, run) == Page(lines, 2, 2, 2, (await page(ittybit, run)).at)
    assert [key.key for key in await keys(ittybit, run)] == [f"task_1-{name}"]


@pytest.mark.parametrize("body", [b"", b"[1", b"{}x", b"<html>", b'["\xff"]', b'{"a": "\xff"}', b"[NaN]"])
async def test_a_json_file_that_is_none_is_refused_by_name(ittybit: Project, body: bytes) -> None:
    run = await of(ittybit, ittybit.place.add_file("/a.json", body))
    detail = "what the task 'task_1' put out as JSON is none: leave `items` out"
    assert await refused(ittybit, run) == (Permanent, "source_refused", detail)


async def test_a_json_file_is_read_as_far_as_it_may_be(ittybit: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analyses, "BYTES", 10)
    place = ittybit.place
    run = await of(ittybit, place.add_file("/a.json", b"[12345678]"), place.add_file("/b.json", b"[123456789]"))
    detail = "the JSON file of the task 'task_1' has more than 10 bytes, too many for items: read it as a record"
    assert await refused(ittybit, run) == (Permanent, "source_refused", detail)


async def test_items_are_paged_over_all_tasks_and_read_twice_are_the_same(ittybit: Project) -> None:
    place = ittybit.place
    inline = place.add_task("task_1", "outline", outputs=[[{"n": 0}, {"n": 1}]])
    filed = place.add_task("task_2", "speech", outputs=[place.add_file("/s.json", b'[{"n": 2}, {"n": 3}]')])
    single = place.add_task("task_3", "nsfw", outputs=[{"n": 4}])
    place.add_run("run_1", tasks=[inline, filed, single])
    run = await ittybit.run("run_1")
    everything = await page(ittybit, run)
    rows = everything.lines.splitlines(keepends=True)
    assert [json.loads(row)["n"] for row in rows] == [0, 1, 2, 3, 4]
    for offset in range(7):
        for limit in range(1, 7):
            found = await page(ittybit, run, offset, limit)
            part = rows[offset : offset + limit]
            assert found == Page(b"".join(part), len(part), len(part), 5, everything.at)
    assert (await page(ittybit.other(), run)).lines == everything.lines


async def test_the_pages_of_one_read_are_made_of_few_requests(ittybit: Project) -> None:
    run = await of(ittybit, ittybit.place.add_file("/s.json", b"[1, 2, 3]"))
    ittybit.place.asked.clear()
    for offset in range(4):
        await page(ittybit, run, offset, 1)
    assert ittybit.place.paths() == ["GET /runs/run_1", "GET /tasks/task_1", "GET /s.json"]


async def test_nothing_is_kept_that_has_not_settled(ittybit: Project) -> None:
    patient = ittybit.other(settle={"quiet": "1h"})
    run = await of(patient, [1])
    assert len(await items(patient, run)) == 1
    ittybit.place.tasks["task_1"]["outputs"] = [[1, 2]]
    assert len(await items(patient, run)) == 2


async def test_a_page_that_is_too_large_is_to_be_asked_for_in_parts(ittybit: Project) -> None:
    run = await of(ittybit, [{"a": "x" * 100}, {"a": "y" * 100}])
    size = len((await page(ittybit, run, 0, 1)).lines)
    with pytest.raises(TooLarge):
        await page(ittybit, run, 0, 2, 2 * size - 1)
    assert (await page(ittybit, run, 0, 2, 2 * size)).count == 2
    with pytest.raises(TooLarge):
        await page(ittybit, run, 1, 1, size - 1)


async def test_an_address_of_an_analysis_that_is_over_is_asked_for_anew(ittybit: Project) -> None:
    run = await of(ittybit, ittybit.place.add_file("/a.json", b"[1]"))
    ittybit.place.refuse("/a.json", 404, times=1)
    assert [row["value"] for row in await items(ittybit, run)] == [1]


async def test_a_job_has_the_files_of_its_tasks_and_its_own(ittybit: Project) -> None:
    place = ittybit.place
    film, words = place.add_file("/v.mp4", b"film"), {"text": "a talk"}
    tasks = [job_task("task_1", output=film), job_task("task_2", "speech", output=words)]
    place.add_job("job_1", output=place.add_file("/all.mp4", b"all")["url"], tasks=tasks)
    run = await ittybit.run("job_1")
    found = await keys(ittybit, run)
    assert [key.key for key in found] == ["task_1-v.mp4", "job_1-all.mp4"]
    assert [(await whole(ittybit, run, key))[1] for key in found] == [b"film", b"all"]
    assert await items(ittybit, run) == [{"task_id": "task_2", "task_kind": "speech", "text": "a talk"}]
    place.expire("/all.mp4")
    place.jobs["job_1"]["output"] = place.add_file("/fresh.mp4", b"fresh")["url"]
    assert (await whole(ittybit, run, found[1]))[1] == b"fresh"


async def test_the_output_of_a_job_that_is_a_tasks_comes_once(ittybit: Project) -> None:
    film = ittybit.place.add_file("/v.mp4", b"film")
    ittybit.place.add_job("job_1", output=film["url"], tasks=[job_task("task_1", output=film)])
    assert [key.key for key in await keys(ittybit, await ittybit.run("job_1"))] == ["task_1-v.mp4"]


async def test_a_task_by_itself_has_its_output_once(ittybit: Project) -> None:
    ittybit.place.tasks["task_1"] = job_task("task_1", output=ittybit.place.add_file("/v.mp4", b"film"))
    assert [key.key for key in await keys(ittybit, await ittybit.run("task_1"))] == ["task_1-v.mp4"]


def test_what_is_kept_has_room_for_what_was_used_last() -> None:
    kept = Kept[str, int](10)
    for name, size in (("a", 4), ("b", 4), ("a", 5)):
        kept.put(name, size, size)
    kept.put("c", 4, 4)
    assert [kept.get(name) for name in "abc"] == [5, None, 4]
    kept.put("d", 11, 11)
    assert [kept.get(name) for name in "abcd"] == [5, None, 4, None]
    kept.get("a")
    kept.put("e", 5, 5)
    assert [kept.get(name) for name in "ace"] == [5, None, 5]
