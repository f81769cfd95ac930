"""`runrelay captured`: what the receiver kept, and how it turns out to be signed. On a real Valkey."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from redis.asyncio import Redis

from config.queue import RunQueue
from config.settings import load_settings
from config.webhooks.captured import MOST_BODY, Captured, hidden
from config.webhooks.guard import Guard
from config.webhooks.options import Webhook
from console.cli.main import main
from console.learning import block, learnt

Output = pytest.CaptureFixture[str]
SECRET, OLD = "the-secret-of-this-test", "the-one-before-of-this-test"
WHSEC = f"whsec_{base64.b64encode(b'k' * 24).decode()}"
BODY = b'{"id": "r1", "name": "\xc3\xa9"}'
NOW = int(time.time())
FILE = f"""\
version: 1
sources:
  mine: {{type: apify, token: t0ken-t0ken, webhook: {{secrets: [{OLD}, {SECRET}], capture: {{}}}}}}
  other: {{type: apify, token: t0ken-t0ken}}
sinks: {{disk: {{type: file, base: x}}}}
routes: [{{name: all, to: [{{sink: disk}}]}}]
"""


def captured(id: str = "3f9a1c0b7d24", **more: Any) -> Captured:
    """One that came just now."""
    now = time.time()
    said: dict[str, Any] = {
        "at": now, "until": now + 3600, "source": "mine", "kind": "signature_missing", "method": "POST",
        "path": "/webhooks/mine", "headers": (), "secrets": (), "body": BODY, "masked": False, "cut": False,
    }  # fmt: skip
    return Captured(id=id, **said | more)


@pytest.fixture
def keep(valkey_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Puts some where the receiver does."""

    async def put(*ones: Captured) -> None:
        settings = load_settings(redis_url=valkey_server, durability="relaxed")
        async with RunQueue.connect(settings) as queue:
            for one in ones:
                await queue.capture(one, 10)

    async def empty() -> None:
        redis = Redis.from_url(valkey_server)
        await redis.flushall()
        await redis.aclose()

    asyncio.run(empty())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", valkey_server)
    (tmp_path / "runrelay.yaml").write_text(FILE)
    return lambda *ones: asyncio.run(put(*ones))


def said(capsys: Output, *words: str, code: int = 0) -> list[dict[str, Any]]:
    assert main(["captured", *words, "--json"]) == code
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


# list, show, clear


def test_they_are_listed_the_newest_first(keep: Any, capsys: Output) -> None:
    later = captured("b" * 12, source="other", at=time.time() + 1, kind="token_invalid")
    gone = captured("c" * 12, at=time.time() - 100, until=time.time() - 1)
    keep(captured("a" * 12, body=b"x" * MOST_BODY, cut=True), later)
    assert [one["id"][0] for one in said(capsys, "list")] == ["b", "a"]
    assert [one["id"][0] for one in said(capsys, "list", "--source", "mine")] == ["a"]
    assert main(["captured", "list"]) == 0
    shown = capsys.readouterr().out
    assert "token_invalid" in shown
    assert "65,536+" in shown
    keep(gone)
    assert [one["id"][0] for one in said(capsys, "list")] == ["b", "a"]


def test_one_is_shown_as_it_came(keep: Any, capsys: Output) -> None:
    keep(captured(headers=(("x-sig", "v1=\x1b[2Jab"), ("authorization", hidden("abc")))))
    (one,) = said(capsys, "show", "3f9a")
    assert base64.b64decode(one["body"]) == BODY
    assert one["headers"] == [["x-sig", "v1=\x1b[2Jab"], ["authorization", "*** (3 characters)"]]
    assert main(["captured", "show", "3f9a"]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "authorization: *** (3 characters)\n" in shown
    assert shown.endswith(BODY.decode() + "\n")


def test_they_are_forgotten_of_one_source_or_of_all(keep: Any, capsys: Output) -> None:
    keep(captured("a" * 12), captured("b" * 12, source="other"))
    assert said(capsys, "clear", "--source", "other", "--yes") == [{"cleared": 1}]
    assert [one["id"][0] for one in said(capsys, "list")] == ["a"]
    assert said(capsys, "clear", "--yes") == [{"cleared": 1}]
    assert said(capsys, "list") == []


@pytest.mark.parametrize("words", [("list",), ("clear", "--yes")])
def test_a_source_that_is_none_is_told_with_the_nearest(keep: Any, capsys: Output, words: tuple[str, ...]) -> None:
    keep(captured(source="gone"))
    (told,) = said(capsys, *words, "--source", "mien", code=1)
    assert told == {
        "kind": "source_not_found",
        "message": "the file has no source 'mien', and nothing is kept of one: did you mean `mine`? it has mine, other",
    }
    assert len(said(capsys, *words, "--source", "gone")) == 1


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("mine", "nothing is kept: nothing that cannot be verified has come lately to mine\n"),
        ("other", "nothing is kept: `webhook: {capture: {}}` of a source keeps what cannot be verified\n"),
    ],
)
def test_why_there_is_nothing_is_told(keep: Any, capsys: Output, source: str, line: str) -> None:
    keep()
    assert main(["captured", "list", "--source", source]) == 0
    assert capsys.readouterr().out == line


@pytest.mark.parametrize("words", [("show", "9"), ("try", "9"), ("show", "3")])
def test_an_id_that_is_none_or_several_is_told(keep: Any, capsys: Output, words: tuple[str, str]) -> None:
    keep(captured("3" * 12), captured("34" * 6))
    (told,) = said(capsys, *words, code=1)
    assert told["kind"] == "capture_not_found"


def test_nothing_is_forgotten_unasked(keep: Any, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(captured())
    monkeypatch.setattr("sys.stdin", StringIO())
    assert main(["captured", "clear"]) == 2
    capsys.readouterr()
    assert len(said(capsys, "list")) == 1


# try


def mac(message: bytes, key: bytes = SECRET.encode(), digest: str = "sha256") -> bytes:
    return hmac.new(key, message, getattr(hashlib, digest)).digest()


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


T = str(NOW)
#: What a platform sends → what the file has to say.
SCHEMES: list[tuple[dict[str, str], dict[str, str]]] = [
    ({"x-hub-signature-256": "sha256=" + mac(BODY).hex()}, {"header": "x-hub-signature-256", "prefix": "sha256="}),
    ({"x-sig": mac(BODY, digest="sha1").hex().upper()}, {"header": "x-sig", "digest": "sha1"}),
    ({"x-sig": b64(mac(BODY, digest="sha512"))}, {"header": "x-sig", "digest": "sha512", "encoding": "base64"}),
    (
        {"x-sig": mac(f"{T}.".encode() + BODY).hex(), "x-time": T},
        {"header": "x-sig", "signed": "{x-time}.{body}", "timestamp": "x-time"},
    ),
    (
        {"x-slack-signature": "v0=" + mac(f"v0:{T}:".encode() + BODY).hex(), "x-slack-request-timestamp": T},
        {
            "header": "x-slack-signature",
            "prefix": "v0=",
            "signed": "v0:{x-slack-request-timestamp}:{body}",
            "timestamp": "x-slack-request-timestamp",
        },
    ),
    (
        {"stripe-signature": f"t={T},v1={mac(f'{T}.'.encode() + BODY).hex()},v0=00"},
        {"header": "stripe-signature", "part": "v1", "signed": "{t}.{body}", "timestamp": "t"},
    ),
    (
        {"x-sig": b64(mac(f"d-7.{T}.".encode() + BODY)), "x-id": "d-7", "x-other": "d-8", "x-time": T},
        {"header": "x-sig", "encoding": "base64", "signed": "{x-id}.{x-time}.{body}", "timestamp": "x-time"},
    ),
]


@pytest.mark.parametrize(("headers", "form"), SCHEMES, ids=[next(iter(headers)) for headers, _ in SCHEMES])
def test_a_usual_scheme_is_learnt_and_its_block_lets_such_webhooks_in(
    headers: dict[str, str], form: dict[str, str]
) -> None:
    everyday = {"host": "x", "content-type": "application/json", "user-agent": "a/1", "x-request": "r-1"}
    found = learnt(captured(headers=tuple({**everyday, **headers}.items())), [OLD, SECRET])
    assert found.verify is not None
    assert found.verify.model_dump(exclude_defaults=True) == form | {"scheme": "hmac"}
    written = yaml.safe_load(block(found.verify))
    if "timestamp" in form:
        written["verify"]["tolerance"] = "1d"
    guard = Guard(Webhook.model_validate({"secrets": [SECRET], **written}))
    guard.authenticate(None, headers)
    guard.check(headers, BODY)


@pytest.mark.parametrize("prefix", ["webhook", "svix"])
def test_standard_webhooks_are_learnt(prefix: str) -> None:
    signature = "v1," + b64(mac(f"m1.{T}.".encode() + BODY, b"k" * 24))
    headers = ((f"{prefix}-id", "m1"), (f"{prefix}-timestamp", T), (f"{prefix}-signature", f"v1a,AA {signature}"))
    found = learnt(captured(headers=headers), [SECRET, WHSEC])
    assert found.verify is not None
    assert block(found.verify) == "verify: standard_webhooks"


@pytest.mark.parametrize(
    ("name", "value", "written"),
    [
        ("x-gitlab-token", hidden(SECRET), "verify:\n  scheme: token\n  header: x-gitlab-token"),
        ("authorization", hidden(f"Bearer {SECRET}"), "verify: token"),
    ],
)
def test_a_secret_in_a_header_is_learnt_though_it_is_not_kept(name: str, value: str, written: str) -> None:
    found = learnt(captured(headers=((name, value),), secrets=(name,), masked=True), [OLD, SECRET])
    assert found.verify is not None
    assert block(found.verify) == written
    assert learnt(captured(headers=((name, value),)), [OLD, SECRET]).verify is None
    assert learnt(captured(headers=((name, value),), secrets=(name,)), [SECRET * 2]).verify is None


def test_a_secret_in_the_path_is_learnt_though_it_is_not_kept() -> None:
    path = f"/webhooks/mine/{hidden(SECRET)}"
    found = learnt(captured(path=path, in_path=True), [OLD, SECRET])
    assert found.verify is not None
    assert block(found.verify) == "verify: token"
    assert learnt(captured(path=path), [OLD, SECRET]).verify is None
    assert learnt(captured(path=path, in_path=True), [SECRET * 2]).verify is None


def test_the_block_is_printed(keep: Any, capsys: Output) -> None:
    keep(captured(headers=(("x-sig", "sha256=" + mac(BODY).hex()),)))
    assert main(["captured", "try", "3f9a"]) == 0
    assert capsys.readouterr().out == 'verify:\n  scheme: hmac\n  header: x-sig\n  prefix: "sha256="\n'
    (told,) = said(capsys, "try", "3f9a")
    assert told["fits"] == {"scheme": "hmac", "header": "x-sig", "prefix": "sha256="}


def test_that_nothing_fits_is_told_with_how_much_was_tried(keep: Any, capsys: Output) -> None:
    keep(captured(headers=(("x-sig", "sha256=" + mac(BODY, b"of somebody else").hex()), ("x-time", T))))
    (told,) = said(capsys, "try", "3f9a", code=1)
    assert told["fits"] is None
    assert main(["captured", "try", "3f9a"]) == 1
    shown = capsys.readouterr().out
    assert shown.startswith(f"none of the {told['tried']} ways that were tried fits")
    assert SECRET not in shown


@pytest.mark.parametrize(
    ("state", "line"),
    [
        ({"masked": True}, "no signature can be tried: a secret was taken out of it"),
        ({"cut": True}, f"no signature can be tried: only its first {len(BODY)} bytes are kept"),
    ],
)
def test_a_body_that_is_not_whole_is_not_tried(keep: Any, capsys: Output, state: dict[str, Any], line: str) -> None:
    keep(captured(headers=(("x-sig", mac(BODY).hex()),), **state))
    assert main(["captured", "try", "3f9a"]) == 1
    assert capsys.readouterr().out.splitlines()[0] == line


def test_without_secrets_nothing_can_be_tried(keep: Any, capsys: Output) -> None:
    keep(captured(source="other"))
    (told,) = said(capsys, "try", "3f9a", code=1)
    assert told == {"kind": "secret_missing", "message": "the source other has no webhook.secrets to try it with"}


def test_trying_is_bounded() -> None:
    many = tuple((f"x-{number}", f"{NOW + number}") for number in range(200))
    more = tuple((f"y-{number}", f"id-{number}") for number in range(200))
    assert learnt(captured(headers=many + more), [SECRET]).tried < 1500
