"""Files of a platform that the file describes."""

from typing import Any

import pytest
from aiohttp import web

from config.contracts.errors import NotFound, Permanent, Transient
from config.contracts.reasons import Reason
from config.contracts.source import Key
from config.sources.generic import GenericSource
from tests.config.sources.generic_place import DATE_SECONDS, NOW, TOKEN, Generic, run, source
from workers.fetch.api import HttpApi

NOBODY: Any = None


async def listed(files: dict[str, Any], after: str | None = None, **fields: Any) -> list[Key]:
    options: dict[str, Any] = {"files": files}
    if "download" in files:
        options["api"] = {"url": "https://api.example.com"}
    found = await source(options).keys(NOBODY, run(**fields), "r1", after=after)
    assert (found.count, found.after, found.at) == (len(found.keys), None, NOW)
    return list(found.keys)


async def names(files: dict[str, Any], **fields: Any) -> list[str]:
    return [key.key for key in await listed(files, **fields)]


async def read(source: GenericSource, api: HttpApi, key: Key, **fields: Any) -> tuple[str, str, int | None, bytes]:
    async with source.record(api, run(**fields), key) as document:
        body = b"".join([chunk async for chunk in document.chunks])
        return document.key, document.content_type, document.size, body


async def test_elements_may_be_addresses() -> None:
    urls = ["https://files.example/a/shot%201.png?sig=x", "s3://bucket/b.mp4", "data:image/png;base64,aGk="]
    assert await listed({"at": "output"}, output=urls) == [
        Key(store="r1", key="shot_1.png", size=None, url=urls[0]),
        Key(store="r1", key="b.mp4.url", size=None, url=urls[1]),
        Key(store="r1", key="file-3.url", size=None, url=urls[2]),
    ]


async def test_elements_may_be_objects() -> None:
    shape = {"at": "output", "url": "links.self", "name": "title", "size": "bytes"}
    one = {"links": {"self": "https://files.example/1"}, "title": "../Résumé: 1.pdf", "bytes": 7}
    two = {"links": {"self": "https://files.example/2"}, "bytes": "7"}
    assert await listed(shape, output=[one, two, "https://files.example/3"]) == [
        Key(store="r1", key="_Résumé_1.pdf", size=7, url="https://files.example/1", about=one),
        Key(store="r1", key="2", size=None, url="https://files.example/2", about=two),
    ]


async def test_an_object_without_an_address_is_a_mistake_unless_it_may_lack_one() -> None:
    shape, output = {"at": "output", "url": "link"}, [{"lonk": "https://files.example/1"}, {"link": None}]
    with pytest.raises(Permanent, match=r"nothing is at `link`, where `files` looks: .* `files.optional: true`"):
        await listed(shape, output=output)
    assert await listed({**shape, "optional": True}, output=output) == []


async def test_a_single_address_is_a_list_of_one_and_nothing_an_empty_one() -> None:
    assert await names({"at": "output"}, output="https://files.example/x.mp4") == ["x.mp4"]
    assert await names({"at": "output"}, output=None) == []
    assert await names({"at": "output"}) == []


async def test_words_of_a_model_are_no_files() -> None:
    assert await names({"at": "output"}, output=["Once ", "upon: ", "https:// a", 7, None, ["x"], {"url": "x"}]) == []


async def test_names_are_made_safe_and_unique_and_stay_what_they_are() -> None:
    shape = {"at": "output", "url": "u", "name": "n"}
    written = ["a.png", "a.png", "a-2.png", "a/b\n.png", "..", "", "x" * 900 + ".tar.gz", "..", "noend", "noend"]
    output = [{"u": f"https://files.example/{n}/", "n": name} for n, name in enumerate(written)]
    made = await names(shape, output=output)
    assert made == [
        "a.png", "a-2.png", "a-2-2.png", "a_b_.png", "file", "5", "x" * 100 + ".gz", "file-2", "noend", "noend-2",
    ]  # fmt: skip
    assert made[:4] == await names(shape, output=output[:4])


async def test_a_list_goes_on_after_a_file() -> None:
    output = [f"https://files.example/{name}" for name in "abc"]
    assert [key.key for key in await listed({"at": "output"}, "b", output=output)] == ["c"]
    with pytest.raises(Transient, match="the file 'gone' was listed, and is not any more"):
        await listed({"at": "output"}, "gone", output=output)


async def test_a_list_may_be_asked_for_page_by_page(made: Generic) -> None:
    made.lists([{"url": f"{made.url}/v1/file-{n}", "name": f"{n}.txt"} for n in range(7)])
    shape = {"fetch": "/link", "at": "found.rows", "paging": "link", "url": "url", "name": "name"}
    platform, api = made.source({"files": shape})
    found = await platform.keys(api, run(), "r1", after=None)
    assert [key.key for key in found.keys] == [f"{n}.txt" for n in range(7)]
    assert (found.count, found.after, found.at) == (7, None, DATE_SECONDS)


async def test_more_files_than_anybody_reads_are_refused() -> None:
    with pytest.raises(Permanent) as caught:
        await names({"at": "output"}, output=[f"https://files.example/{n}" for n in range(10_001)])
    assert caught.value.detail == "the run has more than 10000 files"


# what lies there


async def test_a_file_of_the_api_comes_with_the_token_and_one_elsewhere_without(made: Generic) -> None:
    made.says("/own.bin", b"own", content_type="image/png")
    platform, api = made.source({"files": {"at": "output"}})
    output = [f"{made.url}/v1/own.bin"]
    (key,) = (await platform.keys(api, run(output=output), "r1", after=None)).keys
    assert await read(platform, api, key, output=output) == ("own.bin", "image/png", 3, b"own")
    near, api = made.source({"files": {"at": "output"}}, {"url": "https://api.example.com", "file_origins": [made.url]})
    assert await read(near, api, key, output=output) == ("own.bin", "image/png", 3, b"own")
    assert made.tokens == [f"Bearer {TOKEN}", None]


async def test_an_address_that_no_file_is_fetched_from_is_a_document_itself(made: Generic) -> None:
    platform, api = made.source({"files": {"at": "output"}})
    (key,) = (await platform.keys(api, run(output="s3://bucket/a.mp4"), "r1", after=None)).keys
    assert await read(platform, api, key) == ("a.mp4.url", "text/uri-list", 19, b"s3://bucket/a.mp4\r\n")


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("run_results.json", "/v1/runs/r1/artifacts/run_results.json?step=2"),
        ("compiled/my project/a.sql", "/v1/runs/r1/artifacts/compiled/my%20project/a.sql?step=2"),
        ("../../secrets", "/v1/runs/r1/artifacts/..%2F..%2Fsecrets?step=2"),
        ("..", "/v1/runs/r1/artifacts/%2E%2E?step=2"),
        ("a?b#c", "/v1/runs/r1/artifacts/a%3Fb%23c?step=2"),
    ],
)
@pytest.mark.parametrize("is_object", [False, True])
async def test_a_file_without_an_address_is_asked_for_by_its_name(
    made: Generic, name: str, asked: str, is_object: bool
) -> None:
    made.given[asked] = made.given[asked.partition("?")[0]] = lambda _: made_text("x")
    shape: dict[str, Any] = {"at": "output", "download": "/runs/{id}/artifacts/{name}?step={step}"}
    platform, api = made.source({"files": shape | ({"name": "path.full"} if is_object else {})})
    fields: dict[str, Any] = {"step": 2, "output": [{"path": {"full": name}} if is_object else name]}
    (key,) = (await platform.keys(api, run(**fields), "r1", after=None)).keys
    assert (await read(platform, api, key, **fields))[3] == b"x"
    assert made.asked == [asked]


def made_text(text: str) -> Any:
    return web.Response(text=text)


async def test_a_name_that_leads_nowhere_is_not_found(made: Generic) -> None:
    platform, api = made.source({"files": {"at": "output", "download": "/files/{name}"}})
    (key,) = (await platform.keys(api, run(output=["a"]), "r1", after=None)).keys
    with pytest.raises(NotFound) as caught:
        await read(platform, api, key, output=["a"])
    assert caught.value.detail == "the platform has no file 'a' any more"


async def test_names_in_braces_are_only_those_of_the_file(made: Generic) -> None:
    """A file's name is no template of ours."""
    made.given["/v1/files/%7Bid%7D"] = lambda _: made_text("x")
    platform, api = made.source({"files": {"at": "output", "download": "/files/{name}"}})
    (key,) = (await platform.keys(api, run(output=["{id}"]), "r1", after=None)).keys
    assert (await read(platform, api, key, output=["{id}"]))[3] == b"x"


# addresses that are over

OVER = "the address of the file 'x' is worth nothing any more, and there is no fresh one"


def rotating(made: Generic, *addresses: str) -> None:
    """The run names one address after the other, the last one for good."""
    left = list(addresses)

    def answer(_: Any) -> Any:
        return web.json_response({"output": f"{made.url}/v1/x?sig={left.pop(0) if len(left) > 1 else left[0]}"})

    made.given["/v1/jobs/r1"] = made.given["/v1/jobs/r1/files"] = answer


@pytest.mark.parametrize(
    "options",
    [
        {"run": {"fetch": "/jobs/{id}"}, "files": {"at": "output"}},
        {"files": {"fetch": "/jobs/{id}/files", "at": "output"}},
    ],
)
async def test_a_fresh_address_is_asked_for_once(made: Generic, options: dict[str, Any]) -> None:
    made.says("/x?sig=2", b"fresh")
    rotating(made, "1", "2")
    platform, api = made.source(options)
    told = await platform.run(api, "r1") if "run" in options else run()
    (key,) = (await platform.keys(api, told, "r1", after=None)).keys
    assert key.url == f"{made.url}/v1/x?sig=1"
    async with platform.record(api, told, key) as document:
        assert (document.key, [chunk async for chunk in document.chunks]) == ("x", [b"fresh"])
    assert made.asked[1:] == ["/v1/x?sig=1", made.asked[0], "/v1/x?sig=2"]


@pytest.mark.parametrize(("addresses", "asked"), [(("1",), 3), (("1", "2", "3"), 4)])
async def test_if_that_is_no_good_either_the_data_has_expired(
    made: Generic, addresses: tuple[str, ...], asked: int
) -> None:
    rotating(made, *addresses)
    platform, api = made.source({"run": {"fetch": "/jobs/{id}"}, "files": {"at": "output"}})
    told = await platform.run(api, "r1")
    (key,) = (await platform.keys(api, told, "r1", after=None)).keys
    with pytest.raises(Permanent) as caught:
        await read(platform, api, key)
    assert (type(caught.value), caught.value.reason, caught.value.detail) == (Permanent, Reason.DATA_EXPIRED, OVER)
    assert len(made.asked) == asked


async def test_who_cannot_be_asked_has_no_fresh_one(made: Generic) -> None:
    platform, api = made.source({"files": {"at": "output"}})
    (key,) = (await platform.keys(api, run(output=f"{made.url}/v1/x"), "r1", after=None)).keys
    with pytest.raises(Permanent) as caught:
        await read(platform, api, key)
    assert (caught.value.reason, caught.value.detail) == (Reason.DATA_EXPIRED, OVER)


async def test_trouble_with_a_file_may_pass(made: Generic) -> None:
    made.says("/x", b"", 503)
    platform, api = made.source({"files": {"at": "output"}})
    (key,) = (await platform.keys(api, run(output=f"{made.url}/v1/x"), "r1", after=None)).keys
    with pytest.raises(Transient):
        await read(platform, api, key)
