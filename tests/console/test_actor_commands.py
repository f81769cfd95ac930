"""`runrelay actor …` against the emulator: one run from its start to its removal."""

import io
import json
import signal
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from console.cli.main import main
from emulator.scenarios import Fault, Truncate
from tests.config.sources.platforms import Emulated
from tests.console.beside import PUBLIC, emulator_beside
from tests.console.command import running

Captured = pytest.CaptureFixture[str]
Said = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulated]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNRELAY_PUBLIC_URL", PUBLIC)
    with emulator_beside(tmp_path) as place:
        yield place


@pytest.fixture
def said(capsys: Captured) -> Said:
    """Run a command with `--json`; the objects it says. It must end with 0 unless told otherwise."""

    def run(*words: str, code: int = 0) -> list[dict[str, Any]]:
        capsys.readouterr()
        ended = main([*words, "--json"])
        told = capsys.readouterr()
        assert ended == code, told
        return [json.loads(line) for line in told.out.splitlines()]

    return run


@pytest.fixture
def started(platform: Emulated, said: Said) -> Callable[..., str]:
    """Start a run; its id."""

    def start(wait: int = 30, **given: Any) -> str:
        words = ["start", "local/writer", "--input", json.dumps(given), "--wait-for-finish", str(wait)]
        return str(said(*words)[0]["run_id"])

    return start


def test_the_last_run_is_told_with_the_storages_it_left(started: Callable[..., str], said: Said) -> None:
    started()
    run_id = started(exit=3)
    [told] = said("actor", "last", "local/writer")
    assert (told["run"]["id"], told["run"]["status"], told["run"]["exitCode"]) == (run_id, "FAILED", 3)
    assert [(one["kind"], one["alias"], one["count"]) for one in told["storages"]] == [
        ("dataset", "default", 3),
        ("store", "default", 1),
        ("queue", "default", 0),
    ]
    assert told["storages"][0]["id"] == told["run"]["defaultDatasetId"]
    [good] = said("actor", "last", "local~writer", "--status", "SUCCEEDED", "--origin", "API")
    assert good["run"]["id"] != run_id
    [none] = said("actor", "last", "local/writer", "--origin", "SCHEDULER", code=1)
    assert none["kind"] == "not_found"


def test_a_run_is_waited_for_and_its_changes_are_noted(started: Callable[..., str], capsys: Captured) -> None:
    run_id = started(wait=0, sleep=1)
    capsys.readouterr()
    assert main(["actor", "show", run_id, "--wait", "30"]) == 0
    told = capsys.readouterr()
    assert told.err.splitlines()[-1] == f"run {run_id} SUCCEEDED"
    assert told.out.startswith(f"run {run_id} SUCCEEDED\n")
    assert "dataset" in told.out
    assert f"https://console.apify.com/view/runs/{run_id}" in told.out


def test_a_run_seen_without_a_token_hides_what_it_cost(started: Callable[..., str], said: Said) -> None:
    run_id = started()
    [ours], [theirs] = said("actor", "show", run_id), said("actor", "show", run_id, "--no-token")
    assert "usageTotalUsd" in ours["run"]
    assert "usageTotalUsd" not in theirs["run"]


def test_runs_are_listed_newest_first_as_far_as_asked(started: Callable[..., str], said: Said) -> None:
    first, second, third = started(), started(exit=1), started()
    assert [run["id"] for run in said("actor", "runs", "local/writer")] == [third, second, first]
    assert [run["id"] for run in said("actor", "runs", "--limit", "2", "--oldest-first")] == [first, second]
    assert [run["id"] for run in said("actor", "runs", "--status", "FAILED", "--status", "ABORTED")] == [second]
    assert said("actor", "runs", "--before", "2020-01-01") == []
    assert len(said("actor", "runs", "local/writer", "--after", "2020-01-01T00:00:00Z")) == 3


def test_a_log_is_printed_whole_or_from_its_end(started: Callable[..., str], said: Said, capsys: Captured) -> None:
    run_id = started()
    lines = [one["line"] for one in said("actor", "log", run_id)]
    assert [line.split(" ", 1)[1] for line in lines if line.endswith(("begun", "done"))] == ["begun", "done"]
    assert [one["line"] for one in said("actor", "log", run_id, "--tail", "2")] == lines[-2:]
    assert main(["actor", "log", run_id]) == 0
    assert capsys.readouterr().out.splitlines() == lines


def test_a_log_is_followed_to_the_end_of_its_run(started: Callable[..., str], said: Said) -> None:
    run_id = started(wait=0, sleep=1)
    lines = [one["line"] for one in said("actor", "log", run_id, "--follow")]
    assert any(line.endswith("done") for line in lines)
    assert said("actor", "show", run_id, "--wait", "30")[0]["run"]["status"] == "SUCCEEDED"


def test_ctrl_c_ends_following_and_leaves_the_run_alone(
    started: Callable[..., str], said: Said, tmp_path: Path
) -> None:
    run_id = started(wait=0, sleep=60)
    with running(["actor", "log", run_id, "--follow"], tmp_path) as process:
        assert process.stdout
        while not process.stdout.readline().endswith("begun\n"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert (process.wait(30), "Traceback" in process.communicate()[1]) == (130, False)
        assert said("actor", "show", run_id)[0]["run"]["status"] == "RUNNING"


def test_a_followed_log_whose_connection_breaks_is_taken_up_where_it_broke(
    platform: Emulated, started: Callable[..., str], said: Said
) -> None:
    run_id = started()
    whole = [one["line"] for one in said("actor", "log", run_id)]
    platform.scenario.add(Fault("GET /v2/actor-runs/*/log", Truncate(len(whole[0]) + 7)))
    assert [one["line"] for one in said("actor", "log", run_id, "--follow")] == whole


def test_a_run_is_aborted_resurrected_and_deleted(started: Callable[..., str], said: Said) -> None:
    run_id = started(wait=0, sleep=60)
    assert said("actor", "delete", run_id, "--yes", code=1)[0]["kind"] == "run_unfinished"
    assert said("actor", "resurrect", run_id, code=1)[0]["kind"] == "run_unfinished"
    [stopped] = said("actor", "abort", run_id)
    assert stopped["status"] in {"ABORTING", "ABORTED"}
    assert said("actor", "show", run_id, "--wait", "30")[0]["run"]["status"] == "ABORTED"
    assert said("actor", "abort", run_id) == [{"run_id": run_id, "status": "ABORTED"}]

    [again] = said("actor", "resurrect", run_id, "--timeout", "2", "--memory", "256")
    assert again["run_id"] == run_id
    [told] = said("actor", "show", run_id, "--wait", "30")
    assert (told["run"]["status"], told["run"]["options"]["memoryMbytes"]) == ("TIMED-OUT", 256)

    assert said("actor", "delete", run_id, "--yes") == [{"run_id": run_id, "status": "deleted"}]
    assert said("actor", "show", run_id, code=1)[0]["kind"] == "not_found"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_deleting_asks_first(
    started: Callable[..., str], said: Said, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    run_id = started()
    for answer in ("\n", "no\n", ""):
        monkeypatch.setattr("sys.stdin", _Terminal(answer))
        assert main(["actor", "delete", run_id]) == 1
        assert capsys.readouterr().err.endswith("Delete 1 run? [y/N] runrelay: nothing was changed\n")
    assert said("actor", "show", run_id)
    monkeypatch.setattr("sys.stdin", _Terminal("y\n"))
    assert main(["actor", "delete", run_id]) == 0
    assert said("actor", "show", run_id, code=1)


def test_where_nobody_can_be_asked_nothing_is_deleted(
    started: Callable[..., str], said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = started()
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert said("actor", "delete", run_id, code=2)[0]["kind"] == "usage_invalid"
    assert said("actor", "show", run_id)


def test_a_task_is_started_looked_at_and_watched_like_an_actor(platform: Emulated, said: Said) -> None:
    manners = platform.source.manners
    body = json.dumps({"name": "nightly", "actId": "local~writer", "input": {"exit": 3}}).encode()
    headers = {"Authorization": f"Bearer {manners.token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{manners.base_url}/actor-tasks", body, headers, method="POST")
    task = json.loads(urllib.request.urlopen(request).read())["data"]

    [own] = said("start", "task:local/nightly", "--wait-for-finish", "30")
    [overridden] = said("start", "task:local~nightly", "--input", '{"exit": 0}', "--wait-for-finish", "30")
    assert (own["status"], overridden["status"]) == ("FAILED", "SUCCEEDED")
    [told] = said("actor", "last", f"task:{task['id']}")
    assert (told["run"]["id"], told["run"]["actorTaskId"]) == (overridden["run_id"], task["id"])
    listed = [run["id"] for run in said("actor", "runs", "task:local/nightly")]
    assert listed == [overridden["run_id"], own["run_id"]]
    assert said("webhooks", "register", "task:local/nightly")[0]["webhook"]
    assert said("start", "task:local/weekly", code=1)[0]["kind"] == "not_found"


def test_a_webhook_is_registered_once_and_tells_of_every_end(platform: Emulated, said: Said) -> None:
    [made] = said("webhooks", "register", "local/writer")
    assert made["url"] == f"{PUBLIC}/webhooks/apify"
    assert said("webhooks", "register", "local~writer") == [{**made, "actor": "local~writer"}]
    assert said("webhooks", "adopt", made["webhook"]) == [
        {"webhook": made["webhook"], "url": made["url"], "changed": []}
    ]
