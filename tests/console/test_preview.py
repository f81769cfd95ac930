"""`runrelay preview`, against the emulator: what it says of a real run, and that it leaves nothing anywhere."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from config.contracts.event import Event
from config.keys import Keys
from config.queue import RunQueue
from console import previewing
from console.cli.main import main
from emulator.scenarios import Answer, Fault
from tests.config.sources.platforms import TOKEN, Emulated
from tests.console.beside import SECRET, emulator_beside
from tests.console.test_reconcile_command import asked, told

Captured = pytest.CaptureFixture[str]
FILE = """
sinks: {disk: {type: file, base: results/}}
routes:
  - name: numbers
    when: {status: SUCCEEDED}
    read: {where: item.n > 0}
    to: [{sink: disk, path: "{{ actor.name }}/{{ dataset }}.jsonl"}]
"""
SEVERAL = """
sinks:
  disk: {type: file, base: results/}
  crm: {type: http, url: "http://127.0.0.1:9/", sign: "secret-of-the-crm", headers: {Authorization: "Bearer hidden"}}
  own: {type: acme_preview.mute}
  odd: {type: acme_preview.odd}
routes:
  - {name: log, read: {log_tail: 1}, to: [{sink: disk, path: secret-of-the-crm.txt}]}
  - {name: input, read: {records: [INPUT]}, to: [{sink: disk}]}
  - {name: leads, to: [{sink: crm, per: item}, {sink: own}, {sink: odd}, {sink: disk, where: item.n > 9}]}
  - {name: other, read: {dataset: other}, to: [{sink: disk}]}
  - {name: failed, when: {status: FAILED}, to: [{sink: disk}]}
"""
#: A sink of somebody else that does not say what it makes of anything, and one that breaks when it does.
MUTE = """
from pydantic import BaseModel
class Config(BaseModel): pass
class Target(BaseModel): pass
TAKES, WHOLE = frozenset({"items"}), False
def connect(config, around): raise AssertionError("nobody is connected to")
"""
ODD = f"{MUTE}def preview(config, shipment, what): return [1 / 0]\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulated]:
    with emulator_beside(tmp_path_factory.mktemp("platform")) as place:
        yield place


@pytest.fixture(scope="module")
def run(place: Emulated) -> str:
    """A run that has left three items and a log. From then on nothing can be changed at the platform."""
    ended = started(place, {}, wait=30)
    assert ended["status"] == "SUCCEEDED"
    place.scenario.add(*(Fault(f"{method} /v2/*", Answer(500, b"{}"), times=1000) for method in ("PUT", "DELETE")))
    return str(ended["id"])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, place: Emulated, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the file. There is no Redis."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    write(place, FILE)
    return tmp_path


def started(place: Emulated, given: dict[str, Any], wait: int = 0) -> dict[str, Any]:
    manners = place.source.manners
    request = urllib.request.Request(
        f"{manners.base_url}/acts/local~writer/runs?waitForFinish={wait}",
        json.dumps(given).encode(),
        {"Authorization": f"Bearer {manners.token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        found: dict[str, Any] = json.loads(answer.read())["data"]
    return found


def write(place: Emulated, rest: str) -> None:
    url = place.source.manners.base_url.removesuffix("/v2")
    source = f'sources: {{apify: {{token: "{TOKEN}", api_url: "{url}", webhook: {{secrets: [{SECRET}]}}}}}}'
    Path("runrelay.yaml").write_text(f"version: 1\n{source}\n{rest}")


def test_it_shows_what_a_delivery_would_write(run: str, folder: Path, capsys: Captured) -> None:
    assert main(["preview", run]) == 0
    assert (
        capsys.readouterr().out
        == f"""\
run {run} SUCCEEDED of local/writer

numbers/disk, file, items:default: 2 of the first 3, 1 dropped
  file results/local/writer/default.jsonl
  {{"n": 1}}
  {{"n": 2}}
"""
    )
    assert [each.name for each in folder.iterdir()] == ["runrelay.yaml"]


def test_for_scripts_each_stream_of_each_target_is_an_object(run: str, capsys: Captured) -> None:
    assert main(["preview", "--last", "--actor", "local/writer", "--items", "2", "--json"]) == 0
    shown = {"route": "numbers", "target": "disk", "sink": "disk", "type": "file", "stream": "items:default"}
    counts = {"read": 2, "dropped": 1, "rejected": 0}
    lines = ["file results/local/writer/default.jsonl", '{"n": 1}']
    assert told(capsys) == [
        {
            "run_id": run,
            "source": "apify",
            "status": "SUCCEEDED",
            "actor": "local/writer",
            "matched": True,
            "routes": ["numbers"],
        },
        {**shown, **counts, "lines": lines, "notes": [], "problem": ""},
    ]


def test_every_stream_is_shown_as_its_sink_says_it(
    run: str, place: Emulated, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.syspath_prepend(folder)
    (folder / "acme_preview").mkdir()
    (folder / "acme_preview" / "mute.py").write_text(MUTE)
    (folder / "acme_preview" / "odd.py").write_text(ODD)
    write(place, SEVERAL)
    assert main(["preview", run, "--json"]) == 1
    said = capsys.readouterr().out
    assert "secret-of-the-crm" not in said
    assert "hidden" not in said
    head, *shown = [json.loads(line) for line in said.splitlines()]
    assert head["routes"] == ["log", "input", "leads", "other"]
    log, given, crm, own, odd, disk, other = shown
    assert [(one["lines"][0], one["lines"][2:]) for one in (log, given)] == [
        ("file results/***.txt", [log["lines"][2]]),
        (f"file results/{run}/INPUT.json", ["{}"]),
    ]
    assert "ACTOR: Actor finished with exit code 0" in log["lines"][2]
    assert crm["lines"][::3] == ["POST http://127.0.0.1:9/"] * 3
    assert crm["lines"][2::3] == ['{"n": 0}', '{"n": 1}', '{"n": 2}']
    assert own["lines"] == ["the sink `acme_preview.mute` does not say what it makes of this", *crm["lines"][2::3]]
    assert odd["problem"] == "its preview broke with ZeroDivisionError: that is a bug of the sink"
    assert (disk["dropped"], disk["lines"], disk["notes"]) == (3, [], ["`where` let none of 3 items through"])
    assert other["problem"] == "data_expired: the run has no dataset with the alias other"


def test_a_route_and_a_target_are_looked_at_alone(run: str, place: Emulated, capsys: Captured) -> None:
    two = FILE.replace("to: [", "to: [{sink: disk, name: copy, path: copy.csv}, ")
    write(place, two + "  - {name: failed, when: {status: FAILED}, to: [{sink: disk}]}\n")
    assert main(["preview", run, "--route", "numbers", "--target", "copy"]) == 0
    assert capsys.readouterr().out.splitlines()[2:] == [
        "numbers/copy, file, items:default: 2 of the first 3, 1 dropped",
        "  file results/copy.csv",
        "  n",
        "  1",
        "  2",
    ]
    for named in (["--target", "numbers/copy"], ["--route", "numbers/copy"]):
        assert main(["preview", run, *named]) == 0
        assert capsys.readouterr().out.splitlines()[2].startswith("numbers/copy, file")
    assert main(["preview", run, "--route", "failed", "--target", "numbers/copy"]) == 1
    assert "there is no target 'numbers/copy': known are disk" in capsys.readouterr().err
    assert main(["preview", run, "--route", "failed"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["but nothing of it leads there: `runrelay explain` says why"]


def test_it_says_plainly_that_no_route_wants_a_run(run: str, place: Emulated, capsys: Captured) -> None:
    nobody = FILE.replace("SUCCEEDED", "FAILED")
    write(place, nobody)
    assert main(["preview", run]) == 0
    why = f"`runrelay explain {run}` says why"
    assert capsys.readouterr().out.splitlines()[1:] == [f"no route wants it: nothing is delivered; {why}"]
    write(place, nobody + "unmatched: {to: [{sink: disk, path: 'unmatched/{{ run.id }}.json'}]}\n")
    assert main(["preview", run]) == 0
    assert capsys.readouterr().out.splitlines()[1:5] == [
        f"no route wants it: what follows is `unmatched`; {why}",
        "",
        "unmatched/disk, file, run",
        f"  file results/unmatched/{run}.json",
    ]


def test_a_run_of_another_account_is_refused_as_a_worker_would(run: str, place: Emulated, capsys: Captured) -> None:
    write(place, FILE)
    file = Path("runrelay.yaml")
    file.write_text(file.read_text().replace("webhook:", "accounts: [somebody], webhook:"))
    assert main(["preview", run, "--json"]) == 1
    assert [one["kind"] for one in told(capsys)] == ["run_foreign"]


def test_what_it_cannot_know_is_a_note(run: str, place: Emulated, capsys: Captured) -> None:
    more = """expect: {items: {min: 2}}
    after: {delete: [dataset]}
    read: {only: {change: [new, changed], key: [n]}, """
    write(place, FILE.replace("read: {", more))
    assert main(["preview", run]) == 0
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "  note: `expect` looks at the whole run before anything is sent: it was not asked here",
        "  note: `only` sends what is new or changed since the last delivery: nothing was compared here",
        "  note: `after` deletes dataset at the platform once everything is delivered",
    ]


def test_long_lines_are_cut_and_so_are_many(run: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setattr(previewing, "LONGEST", 7)
    monkeypatch.setattr(previewing, "MOST_LINES", 2)
    assert main(["preview", run, "--json"]) == 0
    assert told(capsys)[1]["lines"] == ["file r…", '{"n": …', "…"]


def test_a_run_that_goes_on_is_shown_as_far_as_it_is(place: Emulated, capsys: Captured) -> None:
    going = started(place, {"sleep": 60})
    write(place, FILE.replace("when: {status: SUCCEEDED}", "when: {actor: local/*}"))
    assert main(["preview", going["id"]]) == 0
    said = capsys.readouterr().out.splitlines()[1]
    assert said == "it has not ended: nothing is delivered before that, and it may have more items by then"


def test_a_run_is_found_by_its_source_or_an_id_of_ours(
    run: str, valkey_server: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setenv("REDIS_URL", valkey_server)
    monkeypatch.setenv("RUNRELAY_NAMESPACE", "rr")
    event = Event(id="0123456789abcdef" * 4, source="apify", run_id=run)

    async def accept(redis: Redis) -> None:
        await redis.flushall()
        await RunQueue(redis, Keys("rr")).accept([event])

    asked(valkey_server, accept)
    for words in (f"apify:{run}", "01234567"):
        assert main(["preview", words, "--json"]) == 0
        assert told(capsys)[0]["run_id"] == run


@pytest.mark.parametrize(
    ("words", "code", "kind"),
    [
        ([], 2, "usage_invalid"),
        (["a", "--last", "--actor", "local/writer"], 2, "usage_invalid"),
        (["--last"], 2, "usage_invalid"),
        (["a", "--actor", "local/writer"], 2, "usage_invalid"),
        (["acme:a"], 1, "not_found"),
        (["01234567"], 1, "not_found"),
        (["--last", "--actor", "local/nobody"], 1, "not_found"),
        (["--last", "--actor", "local/writer", "--route", "number"], 1, "not_found"),
        (["--last", "--actor", "local/writer", "--target", "disc"], 1, "not_found"),
    ],
)
@pytest.mark.usefixtures("run")
def test_what_cannot_be_meant_is_refused(words: list[str], code: int, kind: str, capsys: Captured) -> None:
    assert main(["preview", *words, "--json"]) == code
    assert told(capsys)[-1]["kind"] == kind
