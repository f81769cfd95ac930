"""What people are told before the platform deletes data that is still needed."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from config.contracts.delivery import Delivery, DeliveryState
from config.contracts.event import EventState
from console.cli.main import main
from tests.workers.ledger.books import Books, delivery

Captured = pytest.CaptureFixture[str]
FILE = """\
version: 1
sources: {{apify: {{token: t0ken-t0ken, webhook: {{secrets: [s3cret]}}, retention: {retention}}}}}
sinks: {{out: {{type: stdout}}}}
routes: [{{name: all, to: [{{sink: out}}]}}]
"""


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, valkey_url: str) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", valkey_url)
    write(tmp_path, "7d")
    return tmp_path


def write(folder: Path, retention: str) -> None:
    (folder / "runrelay.yaml").write_text(FILE.format(retention=retention))


def in_books(url: str, work: Callable[[Books], Awaitable[Any]]) -> Any:
    async def worked() -> Any:
        redis = Redis.from_url(url)
        try:
            return await work(Books(redis))
        finally:
            await redis.aclose()

    return asyncio.run(worked())


@pytest.fixture
def dead(valkey_url: str) -> Delivery:
    """The dead letter of a run that ended six and a half days ago."""

    async def fill(books: Books) -> Delivery:
        ended = datetime.fromtimestamp(await books.now() // 1000 - 6.5 * 86400, UTC)
        one = replace(delivery(), life=ended.isoformat().replace("+00:00", "Z"))
        await books.plan(one)
        await books.end(one, DeliveryState.DEAD)
        return one

    found: Delivery = in_books(valkey_url, fill)
    return found


def expires(one: Delivery, days: float = 7) -> datetime:
    return datetime.fromtimestamp(datetime.fromisoformat(one.life).timestamp() + days * 86400, UTC)


def stamp(when: datetime) -> str:
    return when.isoformat(timespec="milliseconds")


def told(capsys: Captured) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("words", [["dlq", "list"], ["dlq", "show", "run1"], ["dlq", "retry", "--all", "--dry-run"]])
def test_a_dead_letter_says_until_when_it_can_be_retried(dead: Delivery, words: list[str], capsys: Captured) -> None:
    assert main([*words, "--json"]) == 0
    assert [one["source_expires_at"] for one in told(capsys)] == [stamp(expires(dead))]


def test_it_says_so_to_people(dead: Delivery, capsys: Captured) -> None:
    assert main(["dlq", "show", "run1"]) == 0
    assert f"source_expires_at {stamp(expires(dead))}" in capsys.readouterr().out


def test_how_long_data_is_kept_is_what_the_file_says(dead: Delivery, folder: Path, capsys: Captured) -> None:
    write(folder, "30d")
    assert main(["dlq", "list", "--json"]) == 0
    assert [one["source_expires_at"] for one in told(capsys)] == [stamp(expires(dead, 30))]


@pytest.mark.usefixtures("dead")
def test_without_a_file_that_can_be_used_nobody_can_tell(folder: Path, capsys: Captured) -> None:
    (folder / "runrelay.yaml").write_text("version: 2\n")
    assert main(["dlq", "list", "--json"]) == 0
    assert [one["source_expires_at"] for one in told(capsys)] == [None]


def test_an_event_whose_run_is_not_known_has_no_data_that_anybody_knows_of(valkey_url: str, capsys: Captured) -> None:
    async def fill(books: Books) -> None:
        await books.ledger.finish(await books.taken_event(), EventState.DEAD)

    in_books(valkey_url, fill)
    assert main(["dlq", "list", "--json"]) == 0
    assert [one["source_expires_at"] for one in told(capsys)] == [None]


def test_status_has_a_line_of_it_for_each_route(dead: Delivery, capsys: Captured) -> None:
    assert main(["status", "--json"]) == 0
    when = expires(dead)
    facts = {"expires": stamp(when), "route": "all", "target": "rows", "run_id": "run1", "id": dead.id, "held": False}
    assert told(capsys)[0]["expiring"] == [facts]
    assert main(["status"]) == 0
    line = next(each for each in capsys.readouterr().out.splitlines() if each.startswith("expiring"))
    words = f"all: the data of 1 not delivered, the first at {when.astimezone():%m-%d %H:%M:%S} (run run1)"
    assert line == f"expiring       {words}"


@pytest.mark.usefixtures("dead")
def test_status_has_no_such_line_while_there_is_time(folder: Path, capsys: Captured) -> None:
    write(folder, "8d")
    assert main(["status"]) == 0
    assert "expiring" not in capsys.readouterr().out


def data_of(capsys: Captured) -> dict[str, Any]:
    """What the doctor says of it."""
    main(["doctor", "--json"])
    (found,) = [one for one in told(capsys) if one["check"] == "source_data"]
    return found


def test_the_doctor_warns_a_day_before(dead: Delivery, capsys: Captured) -> None:
    found = data_of(capsys)
    assert (found["ok"], found["message"]) == (
        False,
        f"within a day the platform may delete what 1 delivery still needs, the first at "
        f"{expires(dead):%Y-%m-%d %H:%M} UTC: run run1 for all/rows",
    )


@pytest.mark.usefixtures("dead")
def test_the_doctor_is_content_while_there_is_time(folder: Path, capsys: Captured) -> None:
    write(folder, "8d")
    assert data_of(capsys)["ok"]
