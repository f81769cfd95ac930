"""`runrelay demo`, for real: everything up, a real crawl, every count compared, nothing left behind."""

import json
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.console.command import Ended, left_of, plant, ran, room_of, running

pytestmark = pytest.mark.slow

#: Writes down every random secret that any Python of the demo makes up.
CANARIES = """
import os, secrets
def listen(name):
    made = getattr(secrets, name)
    def noted(*args):
        value = made(*args)
        with open(os.environ["CANARIES"], "a") as file:
            file.write((value if isinstance(value, str) else __import__("base64").b64encode(value).decode()) + "\\n")
        return value
    setattr(secrets, name, noted)
if "CANARIES" in os.environ:
    for name in ("token_hex", "token_bytes", "token_urlsafe"):
        listen(name)
"""

DROPS_LAST_PAGE = """
from workers.fetch.reader import DatasetReader
whole = DatasetReader.batches
async def short(self, *args):
    held = None
    async for batch in whole(self, *args):
        if held is not None:
            yield held
        held = batch
DatasetReader.batches = short
"""

DROPS_ONE_ITEM = """
import dataclasses
from contextlib import asynccontextmanager
from workers.sinks.file import FileSink
whole = FileSink.open
class Lossy:
    def __init__(self, writer):
        self.writer = writer
    def __getattr__(self, name):
        return getattr(self.writer, name)
    async def items(self, batch):
        lines = b"".join(line + b"\\n" for line in batch.items()[:-1])
        taken = await self.writer.items(dataclasses.replace(batch, lines=lines, count=batch.count - 1))
        return dataclasses.replace(taken, rows=taken.rows + LIE)
@asynccontextmanager
async def lossy(self, *args):
    async with whole(self, *args) as writer:
        yield Lossy(writer)
FileSink.open = lossy
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended]:
    """A whole demo: its folder, and how it ended."""
    folder = tmp_path_factory.mktemp("demo")
    more = plant(folder / "plant", CANARIES) | {"CANARIES": str(folder / "canaries.txt")}
    return folder, ran(["demo", "--json", "--out", "out"], folder, more)


def test_everything_arrives_and_every_count_agrees(demo: tuple[Path, Ended]) -> None:
    _, ended = demo
    assert ended.code == 0, ended.err
    *events, last = ended.objects
    rows = {row["target"]: row for row in last.pop("receipts")}
    assert last.keys() == {"days", "held"}
    assert [event["part"] for event in events if event["event"] == "ready"] == [
        "queue",
        "emulator",
        "worker",
        "receiver",
    ]
    assert {name: (row["route"], row["sink"], row["stream"], row["status"]) for name, row in rows.items()} == {
        "file": ("modules", "disk", "items:default", "balanced"),
        "http": ("modules", "far_side", "items:default", "balanced"),
        "records": ("modules", "disk", "records", "balanced"),
        "log": ("modules", "disk", "log", "balanced"),
    }
    for name in ("file", "http"):
        counts = [rows[name][count] for count in ("expected", "read", "delivered")]
        assert counts == [len(sys.stdlib_module_names)] * 3
    assert all(row["expected"] == row["read"] == row["delivered"] + row["filtered"] for row in rows.values())


@pytest.mark.parametrize("name", ["modules.jsonl", "far-side.jsonl"])
def test_each_module_of_this_python_arrives_once(demo: tuple[Path, Ended], name: str) -> None:
    folder, _ = demo
    items = [json.loads(line) for line in (folder / "out" / name).read_text().splitlines()]
    assert sorted(item["name"] for item in items) == sorted(sys.stdlib_module_names)


def test_a_price_list_is_filtered_mapped_checked_and_compared(demo: tuple[Path, Ended]) -> None:
    folder, ended = demo
    days = ended.objects[-1]["days"]
    assert list(ended.objects[-1]["held"]) == ["wednesday"]
    assert ended.objects[-1]["held"]["wednesday"].startswith("1 item, ")
    assert {day: [(row["target"], row["delivered"], row["added"]) for row in rows] for day, rows in days.items()} == {
        "monday": [("expect", 3, 0), ("list", 3, 0), ("changes", 3, 0)],
        "tuesday": [("expect", 3, 0), ("list", 3, 0), ("changes", 3, 1)],
        "wednesday": [("expect", 1, 0), ("held", 1, 0)],
    }
    assert [json.loads(line) for line in (folder / "out/prices/local-shop-monday.jsonl").read_text().splitlines()] == [
        {"sku": "tea", "title": "Green tea", "eur": 4.9},
        {"sku": "cup", "title": "Cup", "eur": 7.5},
        {"sku": "pot", "title": "Pot", "eur": 19},
    ]
    assert [
        json.loads(line) for line in (folder / "out/changes/local-shop-tuesday.jsonl").read_text().splitlines()
    ] == [
        {"sku": "cup", "title": "Cup", "eur": 6.9, "_change": "changed"},
        {"sku": "jug", "title": "Jug", "eur": 12.0, "_change": "new"},
        {"sku": "pot", "_change": "removed"},
    ]
    assert not (folder / "out/prices/local-shop-wednesday.jsonl").exists()


def test_records_and_log_arrive_as_files(demo: tuple[Path, Ended]) -> None:
    out = demo[0] / "out"
    assert {each.name for each in (out / "records").iterdir()} == {"OUTPUT.json", "SUMMARY.svg"}
    assert json.loads((out / "records/OUTPUT.json").read_text())["modules"] == len(sys.stdlib_module_names)
    assert "Done: " in (out / "log.txt").read_text()


def test_no_secret_is_printed_or_stored(demo: tuple[Path, Ended]) -> None:
    folder, ended = demo
    canaries = {line for line in (folder / "canaries.txt").read_text().splitlines() if len(line) >= 16}
    assert len(canaries) >= 4  # three of the demo and at least one of the emulator
    stored = {str(each): each.read_bytes() for each in (folder / "out").rglob("*") if each.is_file()}
    seen = {"stdout": ended.out.encode(), "stderr": ended.err.encode(), **stored}
    assert len(seen) >= 10
    assert [(name, secret) for name, text in seen.items() for secret in canaries if secret.encode() in text] == []


def test_nothing_runs_afterwards_and_nothing_temporary_is_left(demo: tuple[Path, Ended]) -> None:
    assert (left_of(demo[0]), list(room_of(demo[0]).iterdir())) == (set(), [])


def test_its_routes_file_passes_check_and_names_its_secrets_only(demo: tuple[Path, Ended]) -> None:
    out = demo[0] / "out"
    names = dict.fromkeys(("APIFY_TOKEN", "HOOK_SECRET"), "x" * 20)
    more = {**names, "FAR_SIDE_URL": "http://127.0.0.1:9/", "FAR_SIDE_SECRET": "whsec_MDEyMzQ1Njc4OWFiY2RlZg=="}
    assert ran(["check"], out, more).out == "runrelay.yaml: 1 source, 2 sinks, 2 routes, 1 test: ok\n"


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Ended]]:
    """Small demos with a fault each, side by side: most of their time is waiting."""
    faults = {
        "reader": DROPS_LAST_PAGE,
        "sink": "LIE = 0" + DROPS_ONE_ITEM,
        "lying sink": "LIE = 1" + DROPS_ONE_ITEM,
    }

    def perform(name: str) -> Ended:
        folder = tmp_path_factory.mktemp(name.replace(" ", "-"))
        words = ["demo", "--json", "--out", "out", "--max-modules", "12", "--deadline", "60"]
        return ran(words, folder, plant(folder / "plant", faults[name]))

    with ThreadPoolExecutor() as pool:
        yield dict(zip(faults, pool.map(perform, faults), strict=True))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("reader", "modules/file does not balance: expected 12, read 0"),
        ("sink", "modules/file does not balance: expected 12, read 12, filtered 0, rejected 0, delivered 11"),
        ("lying sink", "modules/file: the receipt says 12, but 11 lines are in modules.jsonl"),
    ],
)
def test_a_planted_loss_fails_the_demo(planted: dict[str, Ended], fault: str, said: str) -> None:
    ended = planted[fault]
    *_, failed, receipts = ended.objects
    assert (ended.code, failed["kind"], list(receipts)) == (1, "demo_failed", ["receipts", "days", "held"])
    assert said in failed["message"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=str)
@pytest.mark.parametrize("moment", ["queue ", "worker ", "modules crawled"])
def test_whenever_it_is_stopped_nothing_is_left(tmp_path: Path, moment: str, number: signal.Signals) -> None:
    with running(["demo"], tmp_path) as process:
        _await_line(process.stderr, moment)
        process.send_signal(number)
        _, told = process.communicate(timeout=30)
        assert (process.returncode, left_of(tmp_path), list(room_of(tmp_path).iterdir())) == (130, set(), [])
        assert "Traceback" not in told


def test_killed_without_a_word_it_leaves_no_orphan(tmp_path: Path) -> None:
    with running(["demo"], tmp_path) as process:
        _await_line(process.stderr, "modules crawled")
        assert len(left_of(tmp_path)) >= 6  # queue, emulator, worker, receiver, the Actor and its servers
        process.kill()
        process.wait()
        deadline = time.monotonic() + 20
        while left_of(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert left_of(tmp_path) == set()


def test_kept_up_it_can_be_looked_at_until_ctrl_c(tmp_path: Path) -> None:
    with running(["demo", "--keep", "--max-modules", "3"], tmp_path) as process:
        hint = _await_line(process.stderr, "REDIS_URL=")
        runs = ran(["runs", "--json"], tmp_path, {"REDIS_URL": hint.split()[0].removeprefix("REDIS_URL=")})
        crawl, *days = [(one["status"], one["deliveries"]) for one in runs.objects]
        assert crawl == ("SUCCEEDED", {"delivered": 4})
        assert days == [("SUCCEEDED", each) for each in ({"delivered": 2, "quarantined": 2}, *[{"delivered": 3}] * 2)]
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert (process.returncode, left_of(tmp_path)) == (0, set())


def test_what_cannot_be_done_in_time_is_named(tmp_path: Path) -> None:
    ended = ran(["demo", "--max-modules", "3", "--deadline", "6"], tmp_path)
    assert ended.code == 1
    assert "not done after 6 s: run " in ended.err
    assert "modules/file is waiting (not_settled" in ended.err


def _await_line(stream: object, part: str) -> str:
    for line in stream:  # type: ignore[attr-defined]  # a text stream
        if part in line:
            return str(line)
    raise AssertionError(f"it ended without saying {part!r}")
