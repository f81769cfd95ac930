"""Logs that machines can read, people can read, and nobody can learn a secret from."""

import io
import json
import logging
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from config import logs

SECRET = 'hunter2/"\\ü secret'


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test begins without secrets and leaves logging as it was."""
    monkeypatch.setattr(logs, "_mask", logs.Mask())
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    yield
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)
    structlog.reset_defaults()


Written = Callable[..., io.StringIO]


@pytest.fixture
def writing() -> Written:
    def write(
        format: Literal["auto", "json", "console"] = "json", level: str = "info", secrets: tuple[str, ...] = ()
    ) -> io.StringIO:
        stream = io.StringIO()
        logs.configure(level, format, secrets, stream=stream)
        return stream

    return write


def only(stream: io.StringIO) -> dict[str, Any]:
    [line] = stream.getvalue().splitlines()
    decoded: dict[str, Any] = json.loads(line)
    return decoded


def log() -> Any:
    return structlog.get_logger()


# what a line looks like


def test_json_is_one_object_a_line_with_time_level_and_event_first(writing: Written) -> None:
    stream = writing()
    log().info("run.planned", run_id="r1", targets=2, ratio=0.5, ok=True, none=None, parts=("a", {"b": 1}))
    line = only(stream)
    assert list(line)[:3] == ["time", "level", "event"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line.pop("time"))
    assert line == {
        "level": "info",
        "event": "run.planned",
        "run_id": "r1",
        "targets": 2,
        "ratio": 0.5,
        "ok": True,
        "none": None,
        "parts": ["a", {"b": 1}],
    }


def test_console_is_one_plain_line_for_people(writing: Written) -> None:
    stream = writing("console")
    log().warning("run.planned", run_id="r1", note="two words")
    assert re.fullmatch(r"\d{4}-\S+Z \[warning *\] run.planned +run_id=r1 note='two words'\n", stream.getvalue()), (
        stream.getvalue()
    )


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "people"), [(Terminal(), True), (io.StringIO(), False)])
def test_auto_is_for_people_on_a_terminal_and_for_machines_elsewhere(stream: io.StringIO, people: bool) -> None:
    logs.configure(stream=stream)
    log().info("hello")
    assert stream.getvalue().startswith("{") is not people
    assert ("\x1b[" in stream.getvalue()) is people


def test_lines_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(format="json")
    log().info("hello")
    logging.getLogger("some.library").warning("hello too")
    captured = capsys.readouterr()
    assert [json.loads(line)["event"] for line in captured.err.splitlines()] == ["hello", "hello too"]
    assert captured.out == ""


def test_lines_below_the_level_are_not_written(writing: Written) -> None:
    stream = writing(level="warning")
    log().info("quiet")
    logging.getLogger("some.library").info("quiet")
    log().warning("loud")
    assert only(stream)["event"] == "loud"


def test_context_variables_are_on_every_line(writing: Written) -> None:
    stream = writing()
    with structlog.contextvars.bound_contextvars(delivery="d1"):
        log().info("hello")
    assert only(stream)["delivery"] == "d1"


def test_odd_values_are_written_as_text(writing: Written) -> None:
    stream = writing()
    log().info("odd", path=Path("a/b"), raw=b"\xffx", nan=float("nan"), error=ValueError("no"), names={"n"})
    line = only(stream)
    assert [line[name] for name in ("path", "raw", "nan", "error", "names")] == ["a/b", "\\xffx", "nan", "no", ["n"]]


def test_configuring_again_replaces_and_does_not_double(writing: Written) -> None:
    first, second = writing(), writing()
    log().info("hello")
    logging.getLogger("some.library").warning("hello")
    assert first.getvalue() == ""
    assert len(second.getvalue().splitlines()) == 2


# libraries


def test_a_library_line_takes_the_same_way(writing: Written) -> None:
    stream = writing(secrets=(SECRET,))
    logging.getLogger("aiohttp.client").error("no luck with %s", SECRET, extra={"attempt": 3})
    line = only(stream)
    line.pop("time")
    assert line == {
        "level": "error",
        "event": "no luck with ***",
        "logger": "aiohttp.client",
        "attempt": 3,
    }


@pytest.mark.parametrize("name", ["arq", "arq.worker", "uvicorn", "uvicorn.error", "aiohttp.access", "asyncio"])
def test_chatter_of_libraries_begins_at_warning_even_when_we_debug(writing: Written, name: str) -> None:
    stream = writing(level="debug")
    logging.getLogger(name).info("chatter")
    assert stream.getvalue() == ""
    logging.getLogger(name).warning("trouble")
    assert only(stream)["logger"] == name


def test_the_servers_access_log_never_writes_because_paths_hold_tokens(writing: Written) -> None:
    stream = writing(level="debug")
    logging.getLogger("uvicorn.access").critical("POST /webhooks/x/token")
    assert stream.getvalue() == ""


# secrets


def everywhere(secret: str) -> dict[str, Any]:
    """A line that carries a secret in every way we could think of."""
    from urllib.parse import quote

    return {
        "plain": secret,
        "inside": f"before {secret} after",
        "nested": {"list": [secret, {"deep": (f"<{secret}>",)}]},
        "name": {secret: 1},
        "in_url": f"https://example.com/hooks/{quote(secret, safe='')}?x={quote(secret)}",
        "in_json": json.dumps({"x": secret}),
        "in_repr": repr({"x": secret}),
        "raw": secret.encode(),
        "error": ValueError(secret),
    }


@pytest.mark.parametrize("secret", [SECRET, "abcd", "0123456789abcdef", "with space", "ümläut", "new\nline"])
@pytest.mark.parametrize("format", ["json", "console"])
def test_a_known_secret_is_nowhere_in_a_line(writing: Written, format: Literal["json", "console"], secret: str) -> None:
    stream = writing(format, secrets=(secret,))
    log().info(f"event {secret}", **everywhere(secret))
    logging.getLogger("some.library").warning("%s", everywhere(secret))
    said = stream.getvalue()
    from urllib.parse import quote

    for spelling in (secret, quote(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1]):
        assert spelling not in said
    assert said.count(logs.MASK) >= 20


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_traceback_keeps_its_story_and_loses_the_secret(writing: Written, format: Literal["json", "console"]) -> None:
    stream = writing(format, secrets=(SECRET,))
    try:
        raise ValueError(f"cannot log in with {SECRET}")
    except ValueError:
        log().exception("login.failed")
        logging.getLogger("some.library").exception("login failed")
    assert stream.getvalue().count("ValueError: cannot log in with ***") == 2
    assert SECRET not in stream.getvalue()


def test_secrets_may_become_known_later(writing: Written) -> None:
    stream = writing()
    logs.add_secret("first-secret", "second-secret")
    log().info("hello", a="first-secret", b="second-secret")
    assert (only(stream)["a"], only(stream)["b"]) == ("***", "***")


def test_a_secret_that_contains_another_is_masked_as_a_whole(writing: Written) -> None:
    stream = writing(secrets=("secret", "secret-and-more"))
    log().info("hello", a="secret-and-more")
    assert only(stream)["a"] == "***"


def test_empty_and_tiny_secrets_do_not_blank_out_everything(writing: Written) -> None:
    stream = writing(secrets=("", "a", "abc"))
    log().info("an abc", b="abc")
    assert (only(stream)["event"], only(stream)["b"]) == ("an abc", "abc")


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "Authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "password",
        "api_key",
        "apify_token",
        "token",
        "apiToken",
        "x-api-key",
        "client_secret",
        "secrets",
        "signature",
        "AWS_ACCESS_KEY",
    ],
)
def test_a_field_with_a_private_name_never_shows_its_value(writing: Written, name: str) -> None:
    stream = writing()
    log().info("hello", **{name: "value"}, headers={name: ["value"]})
    assert (only(stream)[name], only(stream)["headers"]) == ("***", {name: "***"})


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("token", "word", "***"),
        ("note", "Bearer word", "Bearer ***"),
        ("note", "apify_api_word", "apify_api_***"),
        ("note", "word", "word"),
        ("note", 1.5, 1.5),
        ("note", float("inf"), "inf"),
    ],
)
def test_a_line_of_plain_words_and_numbers_is_looked_at_as_well(
    writing: Written, name: str, value: object, shown: object
) -> None:
    stream = writing()
    log().info("hello", **{name: value})
    assert only(stream)[name] == shown


def test_numbers_and_empty_values_under_private_names_are_no_secrets(writing: Written) -> None:
    stream = writing()
    log().info("hello", token=7, secret="", password=None)
    assert [only(stream)[name] for name in ("token", "secret", "password")] == [7, "", None]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abc.def&ghi", "Authorization: Bearer ***"),
        ("authorization=Basic YWJjOmRlZg==, next", "authorization=Basic ***, next"),
        ("Authorization: bare-secret", "Authorization: ***"),
        ("{'Authorization': 'bare-secret', 'x': 1}", "{'Authorization': '***', 'x': 1}"),
        ("(b'authorization', b'bare-secret')", "(b'authorization', b'***')"),
        ("sent bearer abc", "sent bearer ***"),
        ("the token apify_api_Abc123xyz is gone", "the token apify_api_*** is gone"),
        ("not ittybit_live_0a1B2c3D4e5F6g7H, mind", "not ittybit_***, mind"),
        ("sk_test_0123456789abcdef: no", "sk_***: no"),
        ("r8_0123456789abcdef and ghp_0123456789abcdef", "r8_*** and ghp_***"),
        ("signed with whsec_MfKQ9r8/GKYqr+Tw== or whsk_abc", "signed with whsec_*** or whsk_***"),
        ("source ittybit_transcriptions, sk_id 1", "source ittybit_transcriptions, sk_id 1"),
        ("redis://user:p@ss@host:6379/0", "redis://user:***@host:6379/0"),
        ("redis://:pass@host", "redis://:***@host"),
        ("postgresql+asyncpg://u:p&;w@h/db?x=1", "postgresql+asyncpg://u:***@h/db?x=1"),
        ("GET /v2/runs?token=abc&limit=1", "GET /v2/runs?token=***&limit=1"),
        ("https://x/y?limit=1&access_token=abc#top", "https://x/y?limit=1&access_token=***#top"),
        ("https://s3/x?X-Amz-Signature=abc&X-Amz-Date=1", "https://s3/x?X-Amz-Signature=***&X-Amz-Date=1"),
        ("https://blob/x?sv=1&sig=abc%3D", "https://blob/x?sv=1&sig=***"),
        ("no secrets: http://host:80/path, token_invalid", "no secrets: http://host:80/path, token_invalid"),
    ],
)
def test_what_looks_like_a_secret_is_masked_though_nobody_told(writing: Written, text: str, shown: str) -> None:
    stream = writing()
    log().info(text, field=text, nested=[text])
    line = only(stream)
    assert (line["event"], line["field"], line["nested"]) == (shown, shown, [shown])
    assert logs.masked(text) == shown


def test_masking_long_hostile_text_takes_no_time(writing: Written) -> None:
    stream = writing(secrets=("needle",))
    for text in ("a." * 100_000, "?" * 100_000 + "a" * 100_000, "x://" * 50_000, "authorization" + " " * 100_000):
        log().info("hostile", text=text)
    assert len(stream.getvalue().splitlines()) == 4


# lines that pretend


#: Words that data may bring: line breaks of every kind, sequences that steer a terminal, letters that turn text around.
HOSTILE = [
    *("\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"),
    *(
        "\x00",
        "\x07",
        "\x08" * 9,
        "\x7f",
        "\t",
        "\x1b[2J",
        "\x1b[31mred\x1b[0m",
        "\x1b]0;title\x07",
        "\x1b]8;;http://x\x1b\\",
    ),
    *("\x1bc", "\x1b[1A\x1b[2K", "\x1bP+q\x1b\\", "\x9b2J", "\x9d0;t\x9c", "\x90", "\x1b[6n", "\x1b(0"),
    *("\u061c", "\u200e", "\u200f", "\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u2066", "\u2067", "\u2068"),
    *("\u2069", "\u206a", "\ufff9", "\ufffa", "\ufffb", "\ud800", "\udc80", "\udfff"),
    '\n{"time":"2026-01-01T00:00:00Z","level":"info","event":"all.well"}',
    "\n2026-01-01T00:00:00Z [info     ] all.well",
]


@pytest.mark.parametrize("hostile", HOSTILE, ids=ascii)
@pytest.mark.parametrize("format", ["json", "console"])
def test_nothing_in_a_value_can_begin_a_line_or_steer_the_terminal(
    writing: Written, format: Literal["json", "console"], hostile: str
) -> None:
    stream = writing(format)
    words = f"a{hostile}b"
    log().info(f"event {words}", plain=words, nested={words: [words]}, error=ValueError(words), **{words: 1})
    logging.getLogger("some.library").warning(words)
    said = stream.getvalue()
    assert len(said.splitlines()) == 2
    assert not logs.CONTROL.search(said.replace("\n", ""))
    said.encode()


@given(text=st.text(st.characters(exclude_categories=())))
def test_whatever_is_escaped_can_be_written_on_one_line(text: str) -> None:
    shown = logs.escaped(text)
    assert (shown.splitlines() or [""]) == [shown]
    assert shown.encode().decode() == shown
    if not logs.CONTROL.search(text):
        assert shown == text


def test_a_message_inside_a_traceback_cannot_pretend_to_be_a_line(writing: Written) -> None:
    stream = writing("console")
    try:
        raise ValueError("x\n2026-01-01T00:00:00Z [info] all.well\x1b[2J")
    except ValueError:
        log().exception("broken")
    first, *rest = stream.getvalue().splitlines()
    assert "broken" in first
    assert rest
    assert all(line.startswith("    ") for line in rest)
    assert "\x1b" not in stream.getvalue()


def test_the_default_stream_is_the_stderr_of_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    logs.configure()
    log().info("hello")
    assert only(stream)["event"] == "hello"
