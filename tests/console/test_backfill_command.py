"""`runrelay backfill`: what is refused, what is said, and how it ends before its time."""

import json
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.contracts.event import Event
from config.keys import Keys
from config.queue import RunQueue
from console.cli.main import main
from console.pacing import Pace
from emulator.scenarios import Answer, Fault
from tests.config.sources.platforms import Emulated
from tests.console.beside import PUBLIC, emulator_beside
from tests.console.command import plant, running
from tests.console.test_reconcile_command import asked, events, finished_run, told
from workers.care import reconciler

Captured = pytest.CaptureFixture[str]
PACE = ["--pace", "1000/s"]


@pytest.fixture
def platform(tmp_path: Path, valkey_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulated]:
    """A platform, and an empty ledger beside it."""
    monkeypatch.setattr(reconciler, "GRACE", 0.0)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNRELAY_PUBLIC_URL", PUBLIC)
    monkeypatch.setenv("REDIS_URL", valkey_server)
    monkeypatch.setenv("RUNRELAY_NAMESPACE", "rr")
    asked(valkey_server, lambda redis: redis.flushall())
    with emulator_beside(tmp_path) as place:
        yield place


@pytest.mark.usefixtures("platform")
def test_a_second_call_finds_the_first(valkey_server: str, capsys: Captured) -> None:
    run = finished_run(capsys)
    assert main(["backfill", "--since", "1h", *PACE]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[-3:] for line in said if run in line] == [["SUCCEEDED", "taken", "all/out"]]
    assert said[-1] == "1 taken"
    assert main(["backfill", "--since", "1h", *PACE]) == 0
    assert capsys.readouterr().out == "0 taken, 1 already known here\n"
    assert main(["backfill", "--since", "1h", "--dry-run"]) == 0
    assert capsys.readouterr().out == "0 would be taken, 1 already known here\n"
    assert [(event.run_id, event.via, event.body) for event in events(valkey_server)] == [(run, "backfill", b"")]


@pytest.mark.usefixtures("platform")
def test_a_run_that_is_about_to_be_planned_is_left_to_its_webhook(valkey_server: str, capsys: Captured) -> None:
    run = finished_run(capsys)
    hook = Event(id="hook", source="apify", run_id=run)
    asked(valkey_server, lambda redis: RunQueue(redis, Keys("rr")).accept([hook]))
    assert main(["backfill", "--since", "1h", "--json"]) == 0
    assert [one["outcome"] for one in told(capsys)] == ["known"]


@pytest.mark.usefixtures("platform")
def test_only_what_is_taken_costs_time(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    turns: list[Pace] = []

    async def turn(self: Pace) -> None:
        turns.append(self)

    monkeypatch.setattr(Pace, "turn", turn)
    finished_run(capsys)
    finished_run(capsys)
    for words, so_far in ((["--dry-run"], 0), ([], 2), ([], 2)):
        assert main(["backfill", "--since", "1h", *words]) == 0
        assert len(turns) == so_far


def test_the_tag_a_run_was_asked_for_by_counts_though_no_list_tells_it(platform: Emulated, capsys: Captured) -> None:
    finished_run(capsys)
    file = Path("runrelay.yaml")
    file.write_text(file.read_text().replace("{name: all,", "{name: all, when: {build: latest},"))
    unknown = Answer(404, b'{"error": {"type": "actor-not-found", "message": "it was deleted since"}}')
    platform.scenario.add(*(Fault(f"GET /v2/{below}/*", unknown, times=100) for below in ("acts", "actors")))
    assert main(["backfill", "--since", "1h", "--dry-run", "--json"]) == 0
    assert [one["outcome"] for one in told(capsys)] == ["would_take"]


@pytest.mark.usefixtures("platform")
def test_where_it_leads_travels_with_the_event(valkey_server: str, capsys: Captured) -> None:
    run = finished_run(capsys)
    assert main(["backfill", "--since", "1h", "--route", "all", "--include-effects", "--json"]) == 0
    (fact,) = told(capsys)
    (event,) = events(valkey_server)
    assert (event.run_id, event.via, event.body) == (run, "backfill+effects", b'{"route":"all"}')
    assert (fact["outcome"], fact["targets"], fact["event"]) == ("taken", ["all/out"], event.id)
    assert main(["backfill", "--since", "1h", "--route", "nobody", "--json"]) == 0
    assert [one["outcome"] for one in told(capsys)] == ["no_route"]


def test_a_run_has_expired_once_all_that_is_wanted_of_it_is_gone(platform: Emulated, capsys: Captured) -> None:
    finished_run(capsys)
    file = Path("runrelay.yaml")
    more = """routes: [{name: more, read: {records: ["*"], requests: true}, to: [
        {sink: out, name: files, send: records}, {sink: out, name: queue, send: requests}]}, """
    file.write_text(file.read_text().replace("routes: [", more))
    left = []
    for kind in ("", "datasets", "key-value-stores", "request-queues"):
        if kind:
            delete_all(platform, kind)
        assert main(["backfill", "--since", "1h", "--dry-run", "--json"]) == 0
        left += [one["outcome"] for one in told(capsys)]
    assert left == ["would_take", "would_take", "would_take", "expired"]


def delete_all(platform: Emulated, kind: str) -> None:
    """Every unnamed storage of a kind."""
    manners = platform.source.manners

    def ask(method: str, below: str) -> bytes:
        headers = {"Authorization": f"Bearer {manners.token}"}
        request = urllib.request.Request(f"{manners.base_url}/{below}", headers=headers, method=method)
        with urllib.request.urlopen(request) as answer:
            return bytes(answer.read())

    for one in json.loads(ask("GET", f"{kind}?unnamed=1"))["data"]["items"]:
        ask("DELETE", f"{kind}/{one['id']}")


@pytest.mark.usefixtures("platform")
def test_one_that_has_just_ended_has_time_for_its_webhook(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    finished_run(capsys)
    monkeypatch.setattr(reconciler, "GRACE", 120.0)
    assert main(["backfill", "--since", "1h"]) == 0
    assert capsys.readouterr().out == "0 taken\n"


@pytest.mark.usefixtures("platform")
@pytest.mark.parametrize(
    ("words", "code", "kind"),
    [
        ([], 2, "usage_invalid"),
        (["--since", "1h", "--pace", "fast"], 2, "usage_invalid"),
        (["--since", "1h", "--actor", "a/b/c"], 2, "usage_invalid"),
        (["--since", "1h", "--source", "acme"], 1, "source_not_found"),
        (["--since", "1h", "--actor", "local/nobody"], 1, "not_found"),
        (["--since", "1h", "--task", "local/nobody"], 1, "not_found"),
    ],
)
def test_what_cannot_be_meant_is_refused(words: list[str], code: int, kind: str, capsys: Captured) -> None:
    assert main(["backfill", *words, "--json"]) == code
    assert [one["kind"] for one in told(capsys)] == [kind]


@pytest.mark.usefixtures("platform")
def test_interrupted_it_says_how_far_it_got_and_goes_on_with_the_rest(
    valkey_server: str, tmp_path: Path, capsys: Captured
) -> None:
    runs = [finished_run(capsys), finished_run(capsys)]
    impatient = plant(tmp_path / "planted", "import workers.care.reconciler as one\none.GRACE = 0.0\n")
    more = {**impatient, "REDIS_URL": valkey_server, "RUNRELAY_NAMESPACE": "rr"}
    with running(["backfill", "--since", "1h", "--pace", "1/h", "--json"], tmp_path, more) as process:
        assert process.stdout
        first: dict[str, Any] = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert (first["outcome"], first["run_id"]) == ("taken", runs[0])
    assert err == "it ended before its time: 1 runs are left; the same command goes on with them\n"
    assert main(["backfill", "--since", "1h", "--json"]) == 0
    assert {one["run_id"]: one["outcome"] for one in told(capsys)} == {runs[0]: "known", runs[1]: "taken"}
