"""Every field of a run reaches routes and templates as its API page has it (Get run, schema `Run`)."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from config.contracts.run import Run
from config.language.template import Template
from config.routes import load
from config.sources.apify import Config, connect
from tests.config.sources.platforms import Scripted
from workers.routing.match import holds, matching

FULL: dict[str, Any] = {
    "id": "HG7ML7M8z78YcAPEB",
    "actId": "HDSasDasz78YcAPEB",
    "userId": "7sT5jcggjjA9fNcxF",
    "actorTaskId": "KJHSKHausidyaJKHs",
    "startedAt": "2026-11-20T07:34:24.202Z",
    "finishedAt": "2026-11-20T09:30:12.202Z",
    "status": "SUCCEEDED",
    "statusMessage": "Actor is running",
    "isStatusMessageTerminal": False,
    "meta": {
        "origin": "SCHEDULER",
        "clientIp": "203.0.113.7",
        "userAgent": "curl",
        "scheduleId": "sch1",
        "scheduledAt": "2026-11-20T07:34:00.000Z",
    },
    "pricingInfo": {
        "apifyMarginPercentage": 0,
        "pricingModel": "PAY_PER_EVENT",
        "pricingPerEvent": {"actorChargeEvents": {"page": {"eventPriceUsd": 0.002, "eventTitle": "A page"}}},
        "minimalMaxTotalChargeUsd": None,
    },
    "stats": {"inputBodyLen": 240, "resurrectCount": 2, "memAvgBytes": 267874071.9, "runTimeSecs": 248.472},
    "chargedEventCounts": {"actor-start": 1, "page-crawled": 150},
    "options": {
        "build": "beta",
        "timeoutSecs": 300,
        "memoryMbytes": 1024,
        "diskMbytes": 2048,
        "maxItems": 1000,
        "maxTotalChargeUsd": 5,
    },
    "buildId": "7sT5jcggjjA9fNcxF",
    "exitCode": 0,
    "generalAccess": "RESTRICTED",
    "defaultKeyValueStoreId": "eJNzqsbPiopwJcgGQ",
    "defaultDatasetId": "wmKPijuyDnPZAPRMk",
    "defaultRequestQueueId": "FL35cSF7jrxr3BY39",
    "storageIds": {
        "datasets": {"default": "wmKPijuyDnPZAPRMk"},
        "keyValueStores": {"default": "eJNzqsbPiopwJcgGQ"},
        "requestQueues": {"default": "FL35cSF7jrxr3BY39"},
    },
    "buildNumber": "0.0.36",
    "containerUrl": "https://g8kd8kbc5ge8.runs.example.net",
    "isContainerServerReady": True,
    "gitBranchName": "master",
    "usage": {"ACTOR_COMPUTE_UNITS": 3, "DATASET_READS": 4},
    "usageTotalUsd": 0.2654,
    "usageUsd": {"ACTOR_COMPUTE_UNITS": 0.0003, "KEY_VALUE_STORE_WRITES": 0.00005},
    "metamorphs": [{"actorId": "nspoEjklmnsF2oosD", "inputKey": "INPUT-METAMORPH-1"}],
}
#: What the page says may be null.
NULLABLE = (
    "actorTaskId",
    "finishedAt",
    "statusMessage",
    "isStatusMessageTerminal",
    "chargedEventCounts",
    "exitCode",
    "isContainerServerReady",
    "gitBranchName",
    "usage",
    "usageTotalUsd",
    "usageUsd",
    "metamorphs",
)
SOURCE = connect("apify", Config.model_validate({"token": "t0ken-of-mine"}))
RUN = SOURCE.told(FULL)


def rendered(text: str, run: Run = RUN) -> str:
    return Template(text).render(SOURCE.describe(run))


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("{{ run.usageTotalUsd }}", "0.2654"),
        ("{{ run.usageTotalUsd + 1 }}", "1.2654"),
        ("{{ run.usageUsd.KEY_VALUE_STORE_WRITES }}", "5e-05"),
        ("{{ run.chargedEventCounts['page-crawled'] }}", "150"),
        ("{{ run.pricingInfo.pricingPerEvent.actorChargeEvents.page.eventPriceUsd }}", "0.002"),
        ("{{ run.pricingInfo.minimalMaxTotalChargeUsd }}", ""),
        ("{{ run.options.memoryMbytes }} {{ run.options.maxTotalChargeUsd }}", "1024 5"),
        ("{{ run.meta.scheduledAt }} {{ run.meta.origin }}", "2026-11-20T07:34:00.000Z SCHEDULER"),
        ("{{ run.stats.runTimeSecs }} {{ run.stats.resurrectCount }}", "248.472 2"),
        ("{{ run.exitCode }} {{ run.isStatusMessageTerminal }} {{ run.isContainerServerReady }}", "0 false true"),
        ("{{ run.metamorphs[0].inputKey }}", "INPUT-METAMORPH-1"),
        ("{{ run.usage.nothingOfTheKind.atAll }}", ""),
        ("{{ build.number }} {{ build.tags[0] }}", "0.0.36 beta"),
        ("{{ schedule.id }}{{ schedule.name }}", "sch1"),
        ("{{ task.id }}", "KJHSKHausidyaJKHs"),
        ("{{ run.console_url }}", "https://console.apify.com/view/runs/HG7ML7M8z78YcAPEB"),
    ],
)
def test_templates_see_every_field_with_its_type(text: str, printed: str) -> None:
    assert rendered(text) == printed


def test_what_may_be_null_may_also_be_missing() -> None:
    for fields in (
        {**FULL, **dict.fromkeys(NULLABLE)},
        {name: value for name, value in FULL.items() if name not in NULLABLE},
    ):
        run = SOURCE.told(fields)
        assert (run.terminal, run.task_id) == (False, "")
        assert "".join(rendered(f"{{{{ run.{name} }}}}", run) for name in NULLABLE) == ""
        assert rendered("{{ run.chargedEventCounts['page-crawled'] }}{{ run.metamorphs[0].inputKey }}", run) == ""


def test_a_build_is_asked_for_by_tag_or_by_number() -> None:
    by_number = SOURCE.told({**FULL, "options": {"build": "0.0.36"}})
    assert (RUN.build, RUN.tags, by_number.tags) == ("0.0.36", ("beta",), ())


@pytest.mark.parametrize(
    ("when", "takes"),
    [
        ("{build: beta}", True),
        ('{build: "0.0.*"}', True),
        ("{build: [latest, 0.1.7]}", False),
        ("{not: {build: beta}}", False),
        ("{schedule: sch1}", True),
        ("{schedule: nightly-*}", True),
        ("{schedule: weekly}", False),
        ("{not: {schedule: nightly-shops}}", False),
        ('{schedule: "*", build: beta, origin: SCHEDULER}', True),
    ],
)
def test_routes_take_runs_by_build_and_schedule(when: str, takes: bool, tmp_path: Path) -> None:
    (tmp_path / "runrelay.yaml").write_text(
        "version: 1\nsources: {apify: {token: t0ken-of-mine}}\nsinks: {out: {type: stdout}}\n"
        f"routes: [{{name: one, when: {when}, to: [{{sink: out}}]}}]\n"
    )
    [route] = load(tmp_path / "runrelay.yaml", {}).routes
    assert holds(route.when, replace(RUN, schedule="nightly-shops")) is takes


def test_a_status_nobody_knows_takes_the_way_of_all_runs(tmp_path: Path) -> None:
    (tmp_path / "runrelay.yaml").write_text(
        "version: 1\nsources: {apify: {token: t0ken-of-mine}}\nsinks: {out: {type: stdout}}\n"
        "routes:\n  - {name: good, when: {status: SUCCEEDED}, to: [{sink: out}]}\n"
        "  - {name: rest, when: {not: {status: [SUCCEEDED, FAILED]}}, to: [{sink: out}]}\n"
    )
    run = SOURCE.told({**FULL, "status": "EVICTED"})
    assert run.terminal
    assert [route.name for route, _ in matching(load(tmp_path / "runrelay.yaml", {}).routes, run, {})] == ["rest"]


async def test_the_schedule_is_named_and_so_are_the_tags_of_the_build(platform: Scripted) -> None:
    platform.says("/schedules/sch1", {"data": {"id": "sch1", "name": "nightly-shops"}})
    builds = {"latest": {"buildId": "7sT5jcggjjA9fNcxF"}, "beta": {"buildId": "another"}, "old": None}
    platform.says(f"/actors/{FULL['actId']}", {"data": {"id": FULL["actId"], "taggedBuilds": builds}})
    assert await platform.source.schedule_name(platform.api, "sch1") == "nightly-shops"
    assert await platform.source.schedule_name(platform.api, "gone") == ""
    assert await platform.source.build_tags(platform.api, RUN) == ("latest",)
    platform.refuses(f"/actors/{FULL['actId']}", 403, "insufficient-permissions")
    assert await platform.source.build_tags(platform.api, RUN) == ()
