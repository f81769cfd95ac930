"""Keys, records and logs of Apify, over a real wire."""

from typing import Any

import pytest

from config.contracts.errors import NotFound
from config.contracts.source import Key, Keys
from tests.config.sources.platforms import ANY_RUN, DATE_SECONDS, Scripted, trouble


def key_list(*keys: str, after: str | None = None, **changes: Any) -> dict[str, Any]:
    listed = {
        "items": [{"key": key, "size": len(key), "recordPublicUrl": "https://…"} for key in keys],
        "count": len(keys),
        "limit": 1000,
        "isTruncated": after is not None,
        "nextExclusiveStartKey": after,
        **changes,
    }
    return {"data": {name: value for name, value in listed.items() if value != "absent"}}


async def test_keys_come_page_by_page(platform: Scripted) -> None:
    platform.says("/key-value-stores/s/keys", key_list("INPUT", "b&c", after="b&c"))
    first = await platform.source.keys(platform.api, ANY_RUN, "s", after=None)
    assert first == Keys(
        keys=(Key(store="s", key="INPUT", size=5), Key(store="s", key="b&c", size=3)),
        count=2,
        after="b&c",
        at=DATE_SECONDS,
    )
    platform.says("/key-value-stores/s/keys", key_list("d"))
    last = await platform.source.keys(platform.api, ANY_RUN, "s", after=first.after)
    assert (last.after, last.count) == (None, 1)
    assert platform.asked == [
        "GET /v2/key-value-stores/s/keys?limit=1000",
        "GET /v2/key-value-stores/s/keys?limit=1000&exclusiveStartKey=b%26c",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"count": "absent"},
        {"isTruncated": "absent"},
        {"isTruncated": True, "nextExclusiveStartKey": None},
        {"isTruncated": True, "nextExclusiveStartKey": ""},
        {"items": None},
        {"items": [{"size": 4}]},
        {"items": ["a"]},
    ],
)
async def test_a_list_of_keys_that_hides_its_end_is_not_one(platform: Scripted, changes: dict[str, Any]) -> None:
    platform.says("/key-value-stores/s/keys", key_list("a", **changes))
    await trouble(platform, "keys", ANY_RUN, "s", after=None)


async def test_a_record_streams_with_its_type(platform: Scripted) -> None:
    platform.says("/key-value-stores/s/records/it's (1)", b"\x89PNG" * 1000, kind="image/png")
    key = Key(store="s", key="it's (1)", size=4000)
    async with platform.source.record(platform.api, ANY_RUN, key) as document:
        body = b"".join([chunk async for chunk in document.chunks])
        assert (document.key, document.content_type, document.size) == ("it's (1)", "image/png", 4000)
    assert body == b"\x89PNG" * 1000
    assert [line.partition("?")[2] for line in platform.asked] == ["attachment=true"]


async def test_a_list_that_is_whole_is_not_continued(platform: Scripted) -> None:
    platform.says("/key-value-stores/s/keys", key_list("a", nextExclusiveStartKey="a"))
    assert (await platform.source.keys(platform.api, ANY_RUN, "s", after=None)).after is None


async def test_no_name_can_leave_its_place_in_the_path(platform: Scripted) -> None:
    odd = "a/../b?c#d%41"
    with pytest.raises(NotFound):
        async with platform.source.record(platform.api, ANY_RUN, Key(store=odd, key=odd, size=1)):
            pass
    with pytest.raises(NotFound):
        await platform.source.run(platform.api, odd)
    with pytest.raises(NotFound):
        await platform.source.count(platform.api, ANY_RUN, odd)
    with pytest.raises(NotFound):
        await platform.source.page(platform.api, ANY_RUN, odd, offset=0, limit=1, most=1)
    with pytest.raises(NotFound):
        await platform.source.keys(platform.api, ANY_RUN, odd, after=None)
    with pytest.raises(NotFound):
        await platform.source.log_tail(platform.api, odd, 1)
    assert await platform.source.task_name(platform.api, odd) == ""
    quoted = "a%2F..%2Fb%3Fc%23d%2541"
    assert [line.partition("?")[0].removeprefix("GET /v2/") for line in platform.asked] == [
        f"key-value-stores/{quoted}/records/{quoted}",
        f"actor-runs/{quoted}",
        f"datasets/{quoted}",
        f"datasets/{quoted}/items",
        f"key-value-stores/{quoted}/keys",
        f"actor-runs/{quoted}/log",
        f"actor-tasks/{quoted}",
    ]


async def test_a_record_that_is_gone_is_not_found(platform: Scripted) -> None:
    with pytest.raises(NotFound):
        async with platform.source.record(platform.api, ANY_RUN, Key(store="s", key="gone", size=1)):
            pass


@pytest.mark.parametrize(
    ("log", "lines", "tail"),
    [
        (b"one\ntwo\nthree\n", 2, b"two\nthree\n"),
        (b"one\ntwo\nthree", 2, b"two\nthree\n"),
        (b"one\n", 9, b"one\n"),
        (b"", 9, b""),
        (b"one\ntwo", 0, b""),
        (b"x" * 3_000_000 + b"\nlast\n", 1, b"last\n"),
        (b"\n\n\n", 2, b"\n\n"),
    ],
)
async def test_the_tail_of_the_log_is_whole_lines(platform: Scripted, log: bytes, lines: int, tail: bytes) -> None:
    platform.says("/actor-runs/r/log", log, kind="text/plain; charset=utf-8")
    assert await platform.source.log_tail(platform.api, "r", lines) == tail


async def test_a_log_of_few_long_lines_is_cut_at_its_beginning(
    platform: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("config.sources.apify.logs.MOST", 1000)
    platform.says("/actor-runs/r/log", b"x" * 5_000_000 + b"\nlast\n", kind="text/plain; charset=utf-8")
    assert await platform.source.log_tail(platform.api, "r", 9) == b"x" * 994 + b"\nlast\n"


@pytest.mark.parametrize("key", [".", "..", "...", "a.b"])
async def test_a_key_of_dots_is_a_key_and_no_step_up(platform: Scripted, key: str) -> None:
    with pytest.raises(NotFound):
        async with platform.source.record(platform.api, ANY_RUN, Key(store="s", key=key, size=1)):
            pass
    asked = platform.asked[-1].partition("?")[0].removeprefix("GET /v2/key-value-stores/s/records/")
    assert asked == (key if key == "a.b" else key.replace(".", "%2E"))
