"""The API half of the Apify source, over a real wire, against answers of the shapes its API reference shows."""

from typing import Any

import pytest
from pydantic import ValidationError

from config.contracts.api import TooLarge
from config.contracts.errors import NotFound, Transient, Unauthorized, WorkError
from config.contracts.run import Run
from config.contracts.source import Count, Page
from config.sources.apify import Config, connect
from tests.config.sources.platforms import ANY_RUN, DATE_SECONDS, Scripted, trouble

RUN = {
    "id": "HG7ML7M8z78YcAPEB",
    "actId": "HDSasDasz78YcAPEB",
    "userId": "7sT5jcggjjA9fNcxF",
    "actorTaskId": None,
    "startedAt": "2026-01-30T07:34:24.202Z",
    "finishedAt": "2026-01-30T07:38:32.674Z",
    "status": "SUCCEEDED",
    "meta": {"origin": "API", "clientIp": "172.234.12.34"},
    "stats": {"runTimeSecs": 248.472},
    "options": {"memoryMbytes": 1024},
    "exitCode": 0,
    "defaultKeyValueStoreId": "eJNzqsbPiopwJcgGQ",
    "defaultDatasetId": "wmKPijuyDnPZAPRMk",
    "storageIds": {
        "datasets": {"default": "wmKPijuyDnPZAPRMk", "categories": "otherDataset"},
        "keyValueStores": {"default": "eJNzqsbPiopwJcgGQ"},
        "requestQueues": {"default": "FL35cSF7jrxr3BY39"},
    },
    "usageTotalUsd": 0.2654,
}
PATH = f"/actor-runs/{RUN['id']}"


async def fetched(platform: Scripted, **changes: Any) -> Run:
    fields = {**RUN, **changes}
    platform.says(PATH, {"data": {key: value for key, value in fields.items() if value != "absent"}})
    return await platform.source.run(platform.api, str(RUN["id"]))


async def test_a_finished_run_is_told_in_our_words(platform: Scripted) -> None:
    assert await fetched(platform) == Run(
        id="HG7ML7M8z78YcAPEB",
        source="apify",
        status="SUCCEEDED",
        terminal=True,
        life="2026-01-30T07:38:32.674Z",
        finished=1769758712.674,
        account="7sT5jcggjjA9fNcxF",
        succeeded=True,
        cost=0.2654,
        origin="API",
        actor_id="HDSasDasz78YcAPEB",
        datasets={"default": "wmKPijuyDnPZAPRMk", "categories": "otherDataset"},
        stores={"default": "eJNzqsbPiopwJcgGQ"},
        queues={"default": "FL35cSF7jrxr3BY39"},
        fields=RUN,
    )


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "TIMED-OUT", "ABORTED"])
async def test_each_of_the_four_ends_is_an_end(platform: Scripted, status: str) -> None:
    run = await fetched(platform, status=status, actorTaskId="task1")
    assert (run.status, run.terminal, run.task_id) == (status, True, "task1")


@pytest.mark.parametrize(
    ("status", "finished"),
    [
        ("READY", None),
        ("RUNNING", "absent"),
        ("TIMING-OUT", "2026-01-30T07:38:32.674Z"),
        ("ABORTING", None),
        ("SUCCEEDED", None),
        ("ABORTING", "2026-01-30T07:38:32.674Z"),
        ("SOMETHING-NEW", None),
    ],
)
async def test_anything_else_goes_on(platform: Scripted, status: str, finished: object) -> None:
    run = await fetched(platform, status=status, finishedAt=finished)
    assert (run.terminal, run.life, run.finished) == (False, "", 0.0)


async def test_an_end_nobody_has_heard_of_is_one_once_the_run_says_when(platform: Scripted) -> None:
    run = await fetched(platform, status="EVICTED")
    assert (run.status, run.terminal, run.life) == ("EVICTED", True, "2026-01-30T07:38:32.674Z")


@pytest.mark.usefixtures("far_from_utc")
@pytest.mark.parametrize("finished", ["2026-01-30T07:38:32.674", "2026-01-30T08:38:32.674+01:00"])
async def test_a_time_without_a_zone_is_utc(platform: Scripted, finished: str) -> None:
    run = await fetched(platform, finishedAt=finished)
    assert (run.life, run.finished) == (finished, 1769758712.674)


async def test_a_run_may_lack_all_that_is_not_promised(platform: Scripted) -> None:
    kept = {"id", "status", "finishedAt"}
    run = await fetched(platform, **{name: "absent" for name in RUN if name not in kept})
    assert (run.account, run.origin, run.actor_id, run.datasets, run.stores) == ("", "", "", {}, {})
    nulls = await fetched(platform, **{name: None for name in RUN if name not in kept})
    assert (nulls.account, nulls.origin, nulls.actor_id, nulls.datasets, nulls.stores) == ("", "", "", {}, {})


async def test_an_alias_that_leads_nowhere_is_none(platform: Scripted) -> None:
    run = await fetched(platform, storageIds={"datasets": {"default": None, "extra": None, "more": "d2"}})
    assert run.datasets == {"default": "wmKPijuyDnPZAPRMk", "more": "d2"}


async def test_without_aliases_the_default_storages_remain(platform: Scripted) -> None:
    run = await fetched(platform, storageIds="absent")
    assert (run.datasets, run.stores) == ({"default": "wmKPijuyDnPZAPRMk"}, {"default": "eJNzqsbPiopwJcgGQ"})


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "absent"},
        {"status": None},
        {"status": 7},
        {"finishedAt": "the day before yesterday"},
        {"finishedAt": 1769758712},
        {"storageIds": ["a"]},
        {"storageIds": {"datasets": {"default": 7}}},
        {"meta": "API"},
    ],
)
async def test_a_run_of_another_shape_is_trouble_that_may_pass(platform: Scripted, changes: dict[str, Any]) -> None:
    with pytest.raises(Transient):
        await fetched(platform, **changes)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"null",
        b"[]",
        b'{"data": null}',
        b'{"data": []}',
        b'{"error": {}}',
        b"[" * 9000,
        b'{"data": "\xff"}',
    ],
)
async def test_an_answer_that_is_not_the_platforms_is_trouble_that_may_pass(platform: Scripted, body: bytes) -> None:
    for path in (PATH, "/users/me", "/datasets/d", "/key-value-stores/s/keys"):
        platform.says(path, body)
    detail = "the platform's answer is not the JSON its reference promises"
    assert await trouble(platform, "run", RUN["id"]) == detail
    assert await trouble(platform, "account") == detail
    assert await trouble(platform, "count", ANY_RUN, "d") == detail
    assert await trouble(platform, "keys", ANY_RUN, "s", after=None) == detail


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (404, "record-not-found", NotFound),
        (401, "token-not-valid", Unauthorized),
        (429, "rate-limit-exceeded", Transient),
        (500, "internal-server-error", Transient),
    ],
)
async def test_a_refusal_is_its_verdict(platform: Scripted, status: int, kind: str, error: type[WorkError]) -> None:
    platform.refuses(PATH, status, kind)
    with pytest.raises(error):
        await platform.source.run(platform.api, str(RUN["id"]))


async def test_the_account_is_the_tokens_own(platform: Scripted) -> None:
    platform.says("/users/me", {"data": {"id": "7sT5jcggjjA9fNcxF", "username": "acme"}})
    assert await platform.source.account(platform.api) == "7sT5jcggjjA9fNcxF"


async def test_names_are_owner_and_name(platform: Scripted) -> None:
    platform.says("/actors/a1", {"data": {"id": "a1", "userId": "u1", "username": "acme", "name": "shop"}})
    platform.says("/actor-tasks/t1", {"data": {"id": "t1", "userId": "u1", "username": "acme", "name": "nightly"}})
    assert await platform.source.actor_name(platform.api, "a1") == "acme/shop"
    assert await platform.source.task_name(platform.api, "t1") == "acme/nightly"


async def test_without_an_id_nobody_is_asked(platform: Scripted) -> None:
    assert await platform.source.task_name(platform.api, "") == ""
    assert platform.asked == []


@pytest.mark.parametrize("status", [403, 404])
async def test_what_the_token_may_not_see_has_no_name(platform: Scripted, status: int) -> None:
    platform.refuses("/actors/a1", status, "insufficient-permissions")
    assert await platform.source.actor_name(platform.api, "a1") == ""


@pytest.mark.parametrize("fields", [{}, {"name": "shop"}, {"username": "acme", "name": None}, {"username": "acme"}])
async def test_half_a_name_is_none(platform: Scripted, fields: dict[str, object]) -> None:
    platform.says("/actors/a1", {"data": fields})
    assert await platform.source.actor_name(platform.api, "a1") == ""


async def test_a_refused_token_does_not_make_a_run_nameless(platform: Scripted) -> None:
    platform.refuses("/actors/a1", 401, "token-not-valid")
    with pytest.raises(Unauthorized):
        await platform.source.actor_name(platform.api, "a1")


async def test_a_page_holds_the_rows_as_written(platform: Scripted) -> None:
    rows = b'{"n": 1.50,  "big": 12345678901234567890}\n{}\n'
    platform.items("d", rows, x_apify_pagination_total="9")
    page = await platform.source.page(platform.api, ANY_RUN, "d", offset=3, limit=2, most=100)
    assert page == Page(lines=rows, count=2, scanned=2, total=9, at=DATE_SECONDS)
    assert platform.asked == ["GET /v2/datasets/d/items?format=jsonl&offset=3&limit=2"]


async def test_the_last_row_may_lack_its_line_break(platform: Scripted) -> None:
    platform.items("d", b'{"n":1}\n{"n":2}', x_apify_pagination_count="2")
    page = await platform.source.page(platform.api, ANY_RUN, "d", offset=0, limit=9, most=100)
    assert (page.lines, page.count) == (b'{"n":1}\n{"n":2}\n', 2)


@pytest.mark.parametrize("last", ['{"n":{"m":2}', '{"n":"a}', '{"n":[1,2', '{"n":"\\\\', '{"n":"a\\"}'])
async def test_a_page_that_ends_in_the_middle_of_a_row_is_no_page(last: str, platform: Scripted) -> None:
    platform.items("d", b'{"n":1}\n' + last.encode(), x_apify_pagination_count="2")
    with pytest.raises(Transient, match="middle of a row"):
        await platform.source.page(platform.api, ANY_RUN, "d", offset=0, limit=9, most=100)


async def test_the_last_row_may_be_one_that_nobody_can_parse(platform: Scripted) -> None:
    row = b'{"n":' + b"[" * 5000 + b'"]}"' + b"]" * 5000 + b', "q": "\\"{", "m": 1e999}'
    platform.items("d", row, x_apify_pagination_count="1")
    page = await platform.source.page(platform.api, ANY_RUN, "d", offset=0, limit=9, most=100_000)
    assert (page.lines, page.count) == (row + b"\n", 1)


@pytest.mark.parametrize("body", [b"", b"\n", b"\r\n"])
async def test_a_page_without_rows_is_empty(platform: Scripted, body: bytes) -> None:
    platform.items("d", body, x_apify_pagination_count="0")
    page = await platform.source.page(platform.api, ANY_RUN, "d", offset=0, limit=9, most=100)
    assert (page.lines, page.count, page.scanned) == (b"", 0, 0)


@pytest.mark.parametrize(
    "headers",
    [
        {"x_apify_pagination_count": ""},
        {"x_apify_pagination_total": ""},
        {"x_apify_pagination_count": "null"},
        {"x_apify_pagination_total": "-1"},
        {"x_apify_pagination_total": "9" * 5000},
        {"content_type": "application/json"},
        {"content_type": "text/html"},
    ],
)
async def test_a_page_without_its_headers_is_trouble_that_may_pass(platform: Scripted, headers: dict[str, str]) -> None:
    platform.items("d", b"{}\n", **headers)
    await trouble(platform, "page", ANY_RUN, "d", offset=0, limit=9, most=100)


async def test_a_page_larger_than_asked_for_says_so(platform: Scripted) -> None:
    platform.items("d", b'{"n":1}\n' * 20)
    with pytest.raises(TooLarge):
        await platform.source.page(platform.api, ANY_RUN, "d", offset=0, limit=20, most=100)


async def test_a_page_without_a_date_shows_no_clock(platform: Scripted) -> None:
    platform.items("d", b"{}\n", Date="never")
    page = await platform.source.page(platform.api, ANY_RUN, "d", offset=0, limit=9, most=100)
    assert page.at == 0.0


async def test_the_count_comes_with_its_time(platform: Scripted) -> None:
    platform.says("/datasets/d", {"data": {"id": "d", "itemCount": 7, "cleanItemCount": 5}})
    assert await platform.source.count(platform.api, ANY_RUN, "d") == Count(rows=7, at=DATE_SECONDS)


@pytest.mark.parametrize("fields", [{}, {"itemCount": None}, {"itemCount": "7"}, {"itemCount": 7.5}])
async def test_a_count_that_is_missing_is_not_zero(platform: Scripted, fields: dict[str, object]) -> None:
    platform.says("/datasets/d", {"data": fields})
    await trouble(platform, "count", ANY_RUN, "d")


@pytest.mark.parametrize(
    ("key", "ordinary"),
    [
        ("OUTPUT", True),
        ("SCREENSHOT-1", True),
        ("MY_INPUT", True),
        ("input", True),
        ("INPUT", False),
        ("INPUT-METAMORPH-1", False),
        ("__CRAWLEE", False),
        ("SDK_CRAWLER_STATISTICS_0", False),
        ("CRAWLEE_STATE", False),
    ],
)
def test_the_platforms_bookkeeping_is_not_ordinary(key: str, ordinary: bool) -> None:
    assert connect("a", Config.model_validate({"token": "t"})).ordinary(key) is ordinary


async def test_templates_see_the_run_as_the_platform_tells_it(platform: Scripted) -> None:
    run = await fetched(platform)
    assert platform.source.describe(run) == {
        "run": {**RUN, "console_url": "https://console.apify.com/view/runs/HG7ML7M8z78YcAPEB"},
        "actor": {"id": "HDSasDasz78YcAPEB", "name": ""},
        "task": {"id": "", "name": ""},
        "build": {"number": "", "tags": []},
        "schedule": {"id": "", "name": ""},
    }


def test_the_manners_are_the_files() -> None:
    config = {
        "token": "secret",
        "api_url": "https://api.example.com/",
        "accounts": ["u1"],
        "settle": {"quiet": "3s", "timeout": "1m"},
    }
    source = connect("main", Config.model_validate(config))
    assert (source.name, source.accounts) == ("main", ("u1",))
    assert (source.manners.base_url, source.manners.token) == ("https://api.example.com/v2", "secret")
    assert (source.settle.quiet, source.settle.timeout) == (3.0, 60.0)


@pytest.mark.parametrize(("secrets", "first"), [(["", "new", "old"], "new"), (["old"], "old"), (None, "")])
def test_webhooks_of_our_own_carry_the_first_active_secret(secrets: list[str] | None, first: str) -> None:
    section = {} if secrets is None else {"webhook": {"secrets": secrets}}
    assert connect("a", Config.model_validate({"token": "t", **section})).secret == first


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"token": ""}, "the token is empty: set the variable it is filled from"),
        ({"token": "t", "webhook": {"secrets": ["", ""]}}, "every secret is empty, so no webhook could come in"),
        ({"token": "t", "webhook": {"secrets": []}}, "every secret is empty, so no webhook could come in"),
    ],
)
def test_what_is_missing_is_told_before_anything_starts(config: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Config.model_validate(config)
