"""`runrelay emulator --run`: one Actor, once, with its webhooks, in one terminal."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.console.command import ran

SOURCE = """
import json, os, sys, urllib.request

def call(method, path, body=None):
    headers = {"Authorization": "Bearer " + os.environ["APIFY_TOKEN"], "Content-Type": "application/json"}
    url = os.environ["APIFY_API_BASE_URL"] + "/v2" + path
    with urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method)) as response:
        return response.read()

store = os.environ["ACTOR_DEFAULT_KEY_VALUE_STORE_ID"]
given = json.loads(call("GET", f"/key-value-stores/{store}/records/INPUT"))
call("POST", "/datasets/" + os.environ["ACTOR_DEFAULT_DATASET_ID"] + "/items", b'[{"n": 1}, {"n": 2}]')
print("was given", given["word"])
sys.exit(given["code"])
"""
SCHEMA = {"properties": {"word": {"type": "string"}, "code": {"type": "integer", "default": 0}}, "required": ["word"]}


@pytest.fixture
def actor(tmp_path: Path) -> Path:
    folder = tmp_path / "actor"
    (folder / ".actor").mkdir(parents=True)
    (folder / ".actor" / "actor.json").write_text(
        json.dumps({"actorSpecification": 1, "name": "mine", "version": "0.1", "input": SCHEMA})
    )
    (folder / "main.py").write_text(SOURCE)
    return folder


@dataclass
class Door:
    """Takes webhooks; answers with these statuses in turn, then 200."""

    url: str
    statuses: list[int] = field(default_factory=list)
    got: list[tuple[str | None, dict[str, object]]] = field(default_factory=list)


@pytest.fixture
def door() -> Iterator[Door]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            heard.got.append((self.headers["Authorization"], body))
            self.send_response(heard.statuses.pop(0) if heard.statuses else 200)
            self.end_headers()
            self.wfile.write(b"thank\nyou" + b"." * 500)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        heard = Door(f"http://127.0.0.1:{server.server_port}/hook")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield heard
        server.shutdown()


def test_an_actor_runs_once_and_its_webhook_is_told_line_by_line(actor: Path, door: Door) -> None:
    door.statuses = [503]
    words = ["emulator", "--run", ".", "--input", '{"word": "hello"}', "--webhook", door.url]

    ended = ran([*words, "--header", "Authorization: Bearer s3cret-key", "--clock-factor", "0.001"], actor)

    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    assert [line.partition(" ")[2] for line in lines[:4]] == [
        "ACTOR: Creating process.",
        "ACTOR: Process started.",
        "was given hello",
        "ACTOR: Actor finished with exit code 0",
    ]
    answer = '"thank\\nyou' + "." * 191 + '"'
    first, second = lines[4:6]
    assert first.startswith(f"ACTOR.RUN.SUCCEEDED -> {door.url}: 503, in ")
    assert first.endswith(f" ms, next try in 0.06 s: {answer}")
    assert second.startswith(f"ACTOR.RUN.SUCCEEDED -> {door.url}: 200, in ")
    assert second.endswith(f" ms: {answer}")
    assert lines[6].endswith("SUCCEEDED: Actor finished with exit code 0; 2 items, 1 records")
    assert "s3cret" not in ended.out + ended.err
    assert [(key, body["eventType"]) for key, body in door.got] == [("Bearer s3cret-key", "ACTOR.RUN.SUCCEEDED")] * 2
    assert sorted(path.name for path in actor.iterdir()) == [".actor", "main.py"]


def test_a_failed_run_ends_with_1_and_tells_scripts_everything(actor: Path, door: Door, tmp_path: Path) -> None:
    (tmp_path / "input.json").write_text('{"word": "x", "code": 3}')
    words = ["emulator", "--run", str(actor), "--input", f"@{tmp_path}/input.json", "--webhook", door.url, "--json"]

    ended = ran([*words, "--data", "kept"], tmp_path)

    assert ended.code == 1
    facts = [json.loads(line) for line in ended.out.splitlines()]
    [dispatch] = [fact for fact in facts if fact["event"] == "dispatch"]
    assert dispatch["ms"] >= 0
    assert {name: dispatch[name] for name in ("event_type", "url", "status", "error", "next_try")} == {
        "event_type": "ACTOR.RUN.FAILED",
        "url": door.url,
        "status": 200,
        "error": None,
        "next_try": None,
    }
    end = facts[-1]
    assert (end["event"], end["status"], end["exit_code"], end["items"], end["untaken"]) == (
        "ended",
        "FAILED",
        3,
        2,
        [],
    )
    assert (tmp_path / "kept" / "emulator.db").is_file()


def test_faults_from_a_file_are_acted_out(actor: Path, door: Door, tmp_path: Path) -> None:
    assert actor.is_dir()
    (tmp_path / "faults.yaml").write_text("faults: [{event: ACTOR.RUN.*, lose: true}]")
    words = ["emulator", "--run", "actor", "--input", '{"word": "x"}', "--webhook", door.url]

    ended = ran([*words, "--faults", "faults.yaml"], tmp_path)

    assert (ended.code, door.got, "->" in ended.out) == (0, [], False)
    assert ended.err.splitlines()[-1] == "not taken by the webhook's receiver: ACTOR.RUN.SUCCEEDED"


def test_faults_of_the_api_do_not_meet_the_command_itself(actor: Path, tmp_path: Path) -> None:
    fault = "{match: GET /v2/*-*, answer: {status: 502, body: <html>busy</html>}, times: always}"
    (tmp_path / "faults.yaml").write_text(f"faults: [{fault}]")

    ended = ran(
        ["emulator", "--run", str(actor), "--input", '{"word": "x", "code": 3}', "--faults", "faults.yaml"], tmp_path
    )

    assert (ended.code, "Traceback" in ended.err) == (1, False)
    assert "FAILED: Actor finished with exit code 1; 0 items, 1 records" in ended.out  # it could not read its input


def test_webhooks_that_nobody_takes_are_waited_for_only_so_long(actor: Path) -> None:
    words = ["emulator", "--run", ".", "--input", '{"word": "x"}', "--webhook", "http://127.0.0.1:9/nobody"]

    ended = ran([*words, "--webhook-patience", "0"], actor)

    assert ended.code == 0
    assert "next try in 60 s" in ended.out
    assert ended.err.splitlines()[-1] == "not taken by the webhook's receiver: ACTOR.RUN.SUCCEEDED"


def test_a_part_that_is_not_installed_is_named(actor: Path, tmp_path: Path) -> None:
    (tmp_path / "jsonschema.py").write_text("raise ModuleNotFoundError(\"No module named 'jsonschema'\")")

    ended = ran(["emulator", "--run", str(actor)], tmp_path, {"PYTHONPATH": str(tmp_path)})

    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        "runrelay: the emulator needs more than is installed: install `runrelay[emulator]`"
        " (No module named 'jsonschema')\n"
    )


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--run", "actor"], 1, "Input is not valid: Field input.word is required"),
        (["--run", "nowhere"], 1, "--run: nowhere is not a folder"),
        (["--run", "."], 1, "is not an Actor: it has neither .actor/actor.json nor actor.yaml"),
        (["--data", "/dev/null"], 1, "--data /dev/null cannot be written"),
        (["--webhook", "http://127.0.0.1:9"], 2, "need --run"),
        (["--run", "actor", "--webhook", "http://127.0.0.1:9", "--header", "x"], 2, "Name: value"),
        (["--run", "actor", "--webhook", "ftp://x"], 1, "requestUrl"),
        (["--run", "actor", "--input", "@none"], 2, "none"),
    ],
)
def test_what_cannot_be_meant_is_one_clear_message(
    actor: Path, tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    ended = ran(["emulator", *words], tmp_path)

    assert (ended.code, "Traceback" in ended.err) == (code, False)
    assert said in " ".join(ended.err.split())
