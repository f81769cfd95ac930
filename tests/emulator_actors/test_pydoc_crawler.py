"""The Actor as the platform runs it: a program in its own folder, with Apify's environment variables."""

import asyncio
import json
import os
import platform as python
import select
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from emulator.actors.pydoc_crawler.chart import bar_chart
from emulator.actors.pydoc_crawler.crawl_input import CrawlInput, parse_input
from emulator.actors.pydoc_crawler.failures import InputRefused
from tests.emulator_actors.conftest import FOLDER, StartActor
from tests.emulator_actors.platform_stand_in import PlatformStandIn

SVG = "{http://www.w3.org/2000/svg}"


async def finished(process: asyncio.subprocess.Process) -> tuple[int | None, list[str]]:
    """Exit code and lines of the log."""
    log, _ = await process.communicate()
    return process.returncode, log.decode().splitlines()


async def test_a_run_leaves_one_item_per_module_and_two_records(
    platform: PlatformStandIn, start_actor: StartActor
) -> None:
    platform.input_record = b'{"maxModules": 50, "concurrency": 2}'
    expected = sorted(sys.stdlib_module_names)[:50]

    code, log = await finished(await start_actor())

    assert (code, log[-1]) == (0, platform.messages[-1]["statusMessage"])
    assert sorted(item["name"] for item in platform.items) == expected
    assert [len(batch) for batch in platform.batches] == [20, 20, 10]
    failed = {item["name"]: item for item in platform.items if "error" in item}
    assert {tuple(item) for item in failed.values()} == {("url", "name", "error")}  # `_dbm` of other systems
    documented = [item for item in platform.items if item["name"] not in failed]
    assert {tuple(item) for item in documented} == {
        ("url", "name", "synopsis", "classes", "functions", "links", "htmlBytes")
    }
    assert platform.messages == [
        *[{"statusMessage": f"{n} of 50 modules crawled", "isStatusMessageTerminal": False} for n in (20, 40, 50)],
        {
            "statusMessage": f"Done: 50 modules, {len(failed)} without a page",
            "isStatusMessageTerminal": True,
        },
    ]

    content_type, body = platform.records["OUTPUT"]
    output = json.loads(body)
    biggest = sorted(((item["htmlBytes"], item["name"]) for item in documented), reverse=True)[:12]
    assert output.pop("indexModules") > 200
    assert (content_type, output) == (
        "application/json",
        {
            "pythonVersion": python.python_version(),
            "modules": 50,
            "errors": len(failed),
            "classes": sum(len(item["classes"]) for item in documented),
            "functions": sum(len(item["functions"]) for item in documented),
            "htmlBytes": sum(item["htmlBytes"] for item in documented),
            "biggestPages": [{"name": name, "htmlBytes": size} for size, name in biggest],
        },
    )
    content_type, body = platform.records["SUMMARY"]
    drawing = ElementTree.fromstring(body)
    assert (content_type, drawing.tag) == ("image/svg+xml", f"{SVG}svg")
    assert len(drawing.findall(f"{SVG}g")) == 12
    assert sorted(platform.records) == ["OUTPUT", "SUMMARY"]


async def test_pages_that_are_too_slow_become_items_and_the_run_succeeds(
    platform: PlatformStandIn, start_actor: StartActor
) -> None:
    platform.input_record = b'{"maxModules": 3, "pageTimeoutSecs": 0.0001}'
    code, log = await finished(await start_actor())
    assert (code, log[-1]) == (0, "Done: 3 modules, 3 without a page")
    assert [item["error"] for item in platform.items] == ["no whole page within 0.0001 s"] * 3
    assert json.loads(platform.records["OUTPUT"][1])["errors"] == 3
    ElementTree.fromstring(platform.records["SUMMARY"][1])


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"[1]", "the input is not a JSON object"),
        (b"{", "the input record is not JSON"),
        (b'{"concurrency": 0}', "concurrency is not a whole number from 1 to 16"),
    ],
)
async def test_bad_input_fails_with_one_line_that_is_also_the_last_status_message(
    platform: PlatformStandIn, start_actor: StartActor, record: bytes, reason: str
) -> None:
    platform.input_record = record
    assert await finished(await start_actor()) == (1, [f"Failed: {reason}"])
    assert platform.messages == [{"statusMessage": f"Failed: {reason}", "isStatusMessageTerminal": True}]


async def test_a_platform_that_is_gone_fails_with_one_line(
    start_actor: StartActor, actor_environment: dict[str, str]
) -> None:
    actor_environment["APIFY_API_BASE_URL"] = "http://127.0.0.1:1/v2/"
    code, log = await finished(await start_actor())
    assert (code, len(log)) == (1, 1)
    assert log[0].startswith("Failed: the platform at http://127.0.0.1:1 gave no answer: ")


async def test_a_platform_that_refuses_the_token_fails_without_showing_it(
    start_actor: StartActor, actor_environment: dict[str, str]
) -> None:
    actor_environment["APIFY_TOKEN"] = "revoked-token"
    assert await finished(await start_actor()) == (
        1,
        ["Failed: the platform answered 401 to GET /v2/key-value-stores/store1/records/INPUT"],
    )


async def test_a_missing_variable_is_named(start_actor: StartActor, actor_environment: dict[str, str]) -> None:
    del actor_environment["ACTOR_RUN_ID"]
    assert await finished(await start_actor()) == (
        1,
        ["Failed: ACTOR_RUN_ID is not set; an Actor is started by the platform"],
    )


async def test_a_refused_push_ends_the_run(platform: PlatformStandIn, start_actor: StartActor) -> None:
    platform.input_record = b'{"maxModules": 30}'
    platform.push_status = 500
    code, log = await finished(await start_actor())
    assert (code, log[-1]) == (1, "Failed: the platform answered 500 to POST /v2/datasets/dataset1/items")
    assert platform.records == {}


@pytest.mark.parametrize(("how", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)])
async def test_no_documentation_server_outlives_the_actor(
    platform: PlatformStandIn, start_actor: StartActor, how: signal.Signals, code: int
) -> None:
    platform.pushes_answered.clear()
    actor = await start_actor()
    await asyncio.wait_for(platform.push_arrived.wait(), 60)
    with ExitStack() as opened:
        pids = children_of(actor.pid)
        servers = [watched(pid, opened) for pid in pids]
        assert len(servers) == 4
        assert ended(servers, within=0) == []

        for pid in pids:
            os.kill(pid, signal.SIGSTOP)  # like a server that hangs: it does not notice that its input ended
        actor.send_signal(how)

        assert (await finished(actor))[0] == code
        assert [ended([server], within=5) for server in servers] == [[server] for server in servers]


def children_of(pid: int) -> list[int]:
    return [int(stat.parent.name) for stat in Path("/proc").glob("[0-9]*/stat") if _parent(stat) == str(pid)]


def _parent(stat: Path) -> str:
    """The second field after the name in brackets, see proc(5)."""
    try:
        return stat.read_text().rpartition(")")[2].split()[1]
    except (FileNotFoundError, ProcessLookupError):
        return "gone"


def watched(pid: int, opened: ExitStack) -> int:
    """A descriptor of another process, which becomes readable at its end; see pidfd_open(2)."""
    descriptor = os.pidfd_open(pid)
    opened.callback(os.close, descriptor)
    return descriptor


def ended(processes: list[int], *, within: float) -> list[int]:
    """Those of the watched processes that have ended; waits for the first of them, `within` in seconds."""
    return select.select(processes, [], [], within)[0]


def test_the_description_agrees_with_the_program() -> None:
    described = yaml.safe_load((FOLDER / "actor.yaml").read_text())
    defaults = {name: field["default"] for name, field in described["input"]["properties"].items()}
    assert parse_input({}) == parse_input(defaults) == CrawlInput()
    assert (described["name"], described["command"]) == ("pydoc-crawler", ["{python}", "main.py"])
    assert (described["timeoutSecs"], described["memoryMbytes"]) == (120, 512)


@pytest.mark.parametrize(
    "record",
    [None, {"maxModules": -1}, {"maxModules": True}, {"pageTimeoutSecs": 0}, {"pageTimeoutSecs": "10"}],
)
def test_input_out_of_range_is_refused(record: object) -> None:
    with pytest.raises(InputRefused):
        parse_input(record)


def test_the_chart_escapes_what_it_draws() -> None:
    drawing = ElementTree.fromstring(bar_chart("<a> & b", "'", [("<script>", 2_500_000), ("x", 0)], "end"))
    texts = [element.text for element in drawing.iter(f"{SVG}text")]
    assert texts == ["<a> & b", "'", "<script>", "2.50 MB", "x", "0.0 kB", "end"]
