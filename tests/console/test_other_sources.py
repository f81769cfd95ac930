"""Commands of a file whose sources are of other platforms than Apify: one of ours, one that only the file describes,
and one that cannot be asked anything."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from redis.asyncio import Redis

from config.contracts.errors import Unauthorized
from config.contracts.event import Event
from config.contracts.reasons import Reason
from config.keys import Keys
from config.queue import RunQueue
from console.cli.main import main
from console.cli.verdict import explain
from console.examining import address
from console.holds import cure
from console.opening import open_settings, open_table
from tests.console.beside import beside
from tests.console.test_reconcile_command import asked, begin, told
from tests.ittybit.standin import TOKEN, Standin, standin
from workers.ledger.holds import Hold

Captured = pytest.CaptureFixture[str]
SECRET = "s3cret-of-the-hook"
CRAWL = {"id": "c:1", "status": "completed", "rows": [{"n": 1}, {"n": 2}]}
FILE = """
version: 1
sources:
  video:
    type: ittybit
    token: "%(token)s"
    api_url: "%(video)s"
    webhook: {secrets: [%(secret)s], verify: {scheme: token, header: X-Secret}}
    reconcile: {every: 10m}
    file_origins: ["%(films)s"]
  crawls:
    type: generic
    webhook:
      secrets: [%(secret)s]
      verify: {scheme: hmac, header: X-Signature, signed: "{t}.{body}", part: v1, timestamp: t}
    api: {url: "%(crawls)s", token: t-0123456789}
    run: {fetch: "/crawls/{id}", status: status, succeeded: completed, failed: failed}
    items: {at: rows}
  told:
    type: generic
    webhook: {secrets: [whsec_c2VjcmV0LW9mLXRoZS1ob29r], verify: standard_webhooks}
    event: {id: data.id}
    run: {at: data, status: status, succeeded: done}
    items: {at: rows}
sinks: {disk: {type: file, base: results/}}
routes:
  - {name: films, when: {source: video, status: succeeded}, read: {records: "*"}, to: [{sink: disk}]}
  - {name: rows, when: {status: [completed, done]}, to: [{sink: disk, path: "{{ run.id }}.jsonl"}]}
"""


@dataclass
class Places:
    """Two platforms; the third cannot be asked."""

    video: Standin
    crawls: str


@pytest.fixture(scope="module")
def places() -> Iterator[Places]:
    @asynccontextmanager
    async def opening() -> AsyncIterator[Places]:
        async with standin() as video:
            video.add_run("run_1", tasks=[video.add_task("task_1", outputs=[video.add_file("/a.mp4", b"film")])])
            runner = await _crawls()
            port = runner.addresses[0][1]
            yield Places(video, f"http://127.0.0.1:{port}")
            await runner.cleanup()

    with beside(opening) as found:
        yield found


async def _crawls() -> web.AppRunner:
    async def crawl(request: web.Request) -> web.Response:
        known = request.match_info["id"] == CRAWL["id"]
        return web.json_response(CRAWL if known else {"error": "unknown"}, status=200 if known else 404)

    async def crawls(request: web.Request) -> web.Response:
        known = request.headers.get("Authorization") == "Bearer t-0123456789"
        return web.json_response([] if known else {"error": "who?"}, status=200 if known else 401)

    app = web.Application()
    app.router.add_get("/crawls/{id}", crawl)
    app.router.add_get("/crawls", crawls)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    monkeypatch.setenv("RUNRELAY_NAMESPACE", "rr")
    monkeypatch.setenv("RUNRELAY_PUBLIC_URL", "http://127.0.0.1:9/")
    write(places)


def write(places: Places, token: str = TOKEN) -> None:
    words = {
        "token": token,
        "video": places.video.url,
        "crawls": places.crawls,
        "secret": SECRET,
        "films": places.video.files_url,
    }
    Path("runrelay.yaml").write_text(FILE % words)


def objects(capsys: Captured, *words: str, code: int = 0) -> list[dict[str, Any]]:
    assert main([*words, "--json"]) == code
    return told(capsys)


def test_people_read_how_each_source_hears_of_runs(places: Places, capsys: Captured) -> None:
    assert main(["sources"]) == 0
    assert (
        capsys.readouterr().out
        == f"""\
video: ittybit
  webhooks  go to http://127.0.0.1:9/webhooks/video
  verified  token: a secret in `x-secret`
  looks     every 10m for runs that no webhook announced
  api       {places.video.url}
crawls: generic
  webhooks  go to http://127.0.0.1:9/webhooks/crawls
  verified  hmac: sha256 of what is sent, in `x-signature`, not older than 5m
  looks     never
  api       {places.crawls}
told: generic
  webhooks  go to http://127.0.0.1:9/webhooks/told
  verified  standard_webhooks: a signature not older than 5m
  looks     never
  api       none: its webhooks say all there is

`runrelay sources TYPE` tells everything of a type, and `runrelay sources --types` which there are.
"""
    )


def test_scripts_get_an_object_for_each_source(places: Places, capsys: Captured, monkeypatch: Any) -> None:
    monkeypatch.delenv("RUNRELAY_PUBLIC_URL")
    first, *_ = objects(capsys, "sources")
    assert first == {
        "name": "video",
        "type": "ittybit",
        "platform": "ittybit",
        "path": "/webhooks/video",
        "url": "",
        "verified": "token: a secret in `x-secret`",
        "reconcile": "10m",
        "api": places.video.url,
    }
    assert main(["sources"]) == 0
    assert "/webhooks/video below the receiver's address: set RUNRELAY_PUBLIC_URL" in capsys.readouterr().out


def test_every_source_is_reached_for(places: Places, capsys: Captured) -> None:
    reached = {one["reached"]: (one["ok"], one["message"]) for one in objects(capsys, "check", "--connect")[1:]}
    assert {name: said for name, said in reached.items() if name.startswith("source")} == {
        "source video": (True, "the platform takes it"),
        "source crawls": (
            None,
            "not tried: nothing can be asked without a run, so the first one tells whether it is right",
        ),
        "source told": (True, "none is needed: the platform is asked nothing, its webhooks say all there is"),
    }
    assert main(["check", "--connect"]) == 0
    assert "\n--  source crawls: not tried" in capsys.readouterr().out
    write(places, "a-token-of-nobody")
    wrong = [one for one in objects(capsys, "check", "--connect", code=1)[1:] if one["ok"] is False]
    assert [one["reached"] for one in wrong] == ["source video"]


@pytest.mark.parametrize(("token", "ok"), [("t-0123456789", True), ("t-of-nobody", False)])
def test_a_list_of_runs_tells_whether_a_token_is_right(token: str, ok: bool, capsys: Captured) -> None:
    path = Path("runrelay.yaml")
    text = path.read_text().replace("t-0123456789", token)
    path.write_text(text.replace("items: {at: rows}\n", "items: {at: rows}\n    runs: {fetch: /crawls}\n", 1))
    found = {one["reached"]: one for one in objects(capsys, "check", "--connect", code=0 if ok else 1)[1:]}
    assert found["source crawls"]["ok"] is ok
    assert found["source crawls"]["message"].startswith("the platform takes it" if ok else "HTTP 401")


def test_one_source_of_the_file_is_shown_by_its_name(capsys: Captured) -> None:
    assert [one["name"] for one in objects(capsys, "sources", "crawls")] == ["crawls"]
    (refused,) = objects(capsys, "sources", "crawl", code=1)
    assert refused["kind"] == "not_found"


def test_a_source_that_is_called_like_its_platform_is_told_once(capsys: Captured) -> None:
    path = Path("runrelay.yaml")
    path.write_text(path.read_text().replace("video", "ittybit"))
    assert main(["sources"]) == 0
    assert capsys.readouterr().out.startswith("ittybit\n  webhooks")


def test_the_doctor_looks_at_each(capsys: Captured) -> None:
    found = {one["check"]: one for one in objects(capsys, "doctor", code=1) if "." in one["check"]}
    assert list(found) == [f"{name}.{check}" for name in ("video", "crawls", "told") for check in ("token", "address")]
    assert {check for check, one in found.items() if not one["ok"]} == {"crawls.token"}
    assert found["crawls.token"]["ok"] is None
    assert found["told.address"]["message"] == "webhooks go to http://127.0.0.1:9/webhooks/told"


@pytest.mark.parametrize(
    ("public", "webhook", "cure"),
    [
        ("", True, "set RUNRELAY_PUBLIC_URL to the address the platform reaches the receiver at"),
        ("http://127.0.0.1:9", False, ""),  # `reconcile` finds its runs
    ],
)
def test_the_doctor_finds_a_door_that_nobody_gets_to(
    public: str, webhook: bool, cure: str, capsys: Captured, monkeypatch: Any
) -> None:
    monkeypatch.setenv("RUNRELAY_PUBLIC_URL", public)
    if not webhook:
        lines = Path("runrelay.yaml").read_text().splitlines(keepends=True)
        Path("runrelay.yaml").write_text("".join(line for line in lines if "X-Secret" not in line))
    found = {one["check"]: one["cure"] for one in objects(capsys, "doctor", code=1)}
    assert found["video.address"] == cure


def test_a_run_of_any_platform_is_explained_and_shown(capsys: Captured) -> None:
    first, *routes = objects(capsys, "explain", "video:run_1")
    assert (first["run_id"], first["status"], first["kept"]) == ("run_1", "succeeded", False)
    assert [one["route"] for one in routes if one.get("takes")] == ["films"]
    run, film = objects(capsys, "preview", "run_1", "--source", "video")
    assert (run["run_id"], film["route"], film["read"]) == ("run_1", "films", 1)
    _, rows = objects(capsys, "preview", "crawls:c:1")
    assert (rows["route"], rows["read"]) == ("rows", 2)
    assert objects(capsys, "preview", "c:1", "--source", "crawls")[1] == rows


def test_what_stands_before_a_colon_is_a_source_only_if_the_file_has_it(capsys: Captured) -> None:
    assert objects(capsys, "explain", "c:1", "--source", "crawls")[0]["run_id"] == "c:1"
    sources = {"source_unclear": "say which source with --source; the file has video, crawls, told"}
    for command in ("explain", "preview"):
        (failed,) = objects(capsys, command, "c:1", code=1)
        assert {failed["kind"]: failed["message"]} == sources


def test_a_run_that_nobody_can_be_asked_about_is_known_from_its_webhook(
    valkey_server: str, capsys: Captured, monkeypatch: Any
) -> None:
    assert [one["kind"] for one in objects(capsys, "preview", "told:t1", code=1)] == ["not_found"]
    monkeypatch.setenv("REDIS_URL", valkey_server)
    said = json.dumps({"data": {"id": "t1", "status": "done", "rows": [{"n": 7}]}}).encode()

    async def accept(redis: Redis) -> None:
        await redis.flushall()
        odd = Event(id="f" * 64, source="told", run_id="a:b~c..d", body=said)
        await RunQueue(redis, Keys("rr")).accept(
            [Event(id="e" * 64, source="told", run_id="t1", body=said), odd],
        )

    asked(valkey_server, accept)
    assert objects(capsys, "explain", "a:b~c..d")[0]["run_id"] == "a:b~c..d"
    assert objects(capsys, "preview", "a:b~c..d")[0]["run_id"] == "a:b~c..d"
    _, rows = objects(capsys, "preview", "told:t1")
    assert (rows["route"], rows["read"], '"n":7' in rows["lines"][-1].replace(" ", "")) == ("rows", 1, True)


def test_tests_of_a_file_know_how_runs_of_each_platform_succeed(capsys: Captured) -> None:
    case = "  - {name: of %s, given: {source: %s}, expect: {route: %s}}\n"
    cases = [case % (name, name, route) for name, route in (("video", "films"), ("crawls", "rows"), ("told", "rows"))]
    with Path("runrelay.yaml").open("a") as file:
        file.write("tests:\n" + "".join(cases))
    assert main(["test"]) == 0
    assert capsys.readouterr().err == "3 of 3 passed\n"


@pytest.mark.parametrize(
    "words",
    [
        ["actor", "runs"],
        ["start", "acme/shop"],
        ["webhooks", "adopt", "w1"],
        ["webhooks", "encode", "--source", "crawls"],
    ],
    ids=" ".join,
)
def test_what_only_apify_knows_says_so(words: list[str], capsys: Captured) -> None:
    (failed,) = objects(capsys, *words, code=1)
    types = "video is of type ittybit, crawls is of type generic, told is of type generic"
    said = "crawls is of type generic" if "--source" in words else types
    assert failed == {"kind": "source_unfit", "message": f"only sources of type apify know this command; {said}"}


def test_sources_that_list_no_runs_do_not_keep_others_from_being_looked_through(
    valkey_server: str, capsys: Captured, monkeypatch: Any
) -> None:
    monkeypatch.setenv("REDIS_URL", valkey_server)
    asked(valkey_server, lambda redis: redis.flushall())
    begin(valkey_server)
    assert main(["backfill", "--since", "1h", "--dry-run"]) == 0
    done = capsys.readouterr()
    assert "crawls: nothing says where its runs are listed" in done.err
    assert done.out.splitlines()[-1].startswith("0 would be taken")
    assert main(["backfill", "--since", "1h", "--source", "crawls"]) == 1


def test_an_account_that_is_out_of_money_is_not_taken_for_a_wrong_token() -> None:
    unpaid, refused = Reason.SOURCE_UNPAID, Reason.SOURCE_TOKEN_REFUSED
    assert [cure(Hold("source", "video", "refused", one)).partition(";")[0] for one in (unpaid, refused)] == [
        "see to the account there, which the platform wants to be paid for",
        "put the right credentials where runrelay.yaml takes them from",
    ]
    said = [explain(Unauthorized(one, "GET /runs: HTTP 402")) for one in (unpaid, refused)]
    assert [one.message if one else "" for one in said] == [
        "the platform wants to be paid (GET /runs: HTTP 402): see to the account there",
        "the platform refused our token (GET /runs: HTTP 402): check `token` of the source",
    ]


async def test_an_address_of_this_machine_is_none_for_a_platform_elsewhere(places: Places) -> None:
    Path("runrelay.yaml").write_text(Path("runrelay.yaml").read_text().replace(places.video.url, "http://192.0.2.1:9"))
    settings = open_settings()
    table = open_table(settings)
    found = {name: (await address(settings, table.declared[name], one))[0] for name, one in table.sources.items()}
    assert found["video"].message == "the platform cannot reach http://127.0.0.1:9/webhooks/video"
    assert found["video"].cure == "set RUNRELAY_PUBLIC_URL to the address the platform reaches the receiver at"
    assert (found["crawls"].well, found["told"].well) == (True, True)
