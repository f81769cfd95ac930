"""What commands that ask the platform say when it says no: one clear line, and what to do about it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.cli.main import main
from console.cli.output import report
from tests.config.sources.platforms import TOKEN, Scripted
from tests.console.beside import PUBLIC, SECRET, scripted_beside, write_file

Captured = pytest.CaptureFixture[str]
ME, RUN = "7sT5jcggjjA9fNcxF", "HG7ML7M8z78YcAPEB"
MANY = "You have exceeded the rate limit of 60 requests per second"


@pytest.fixture(autouse=True)
def _surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNRELAY_PUBLIC_URL", PUBLIC)
    monkeypatch.delenv("APIFY_TOKEN", raising=False)


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Scripted]:
    with scripted_beside(tmp_path) as place:
        place.says("/users/me", {"data": {"id": ME}})
        yield place


def run_is(platform: Scripted, status: str, account: str = ME) -> None:
    finished = None if status == "RUNNING" else "2026-01-30T07:38:32.674Z"
    fields = {"id": RUN, "userId": account, "actId": "a1", "status": status, "finishedAt": finished}
    platform.says(f"/actor-runs/{RUN}", {"data": fields})


OF_A_RUN = [["show"], ["log"], ["abort"], ["resurrect"], ["delete", "--yes"]]
CHANGES = OF_A_RUN[2:]
EVERY = [
    *(["actor", word, RUN, *more] for word, *more in OF_A_RUN),
    ["actor", "runs"],
    ["actor", "last", "acme/shop"],
    ["start", "acme/shop"],
    ["webhooks", "register", "acme/shop"],
    ["webhooks", "adopt", "YiKoxjkaS9gjGTqhF", "--yes"],
]


def named(words: list[str]) -> str:
    return " ".join(words[:2])


def refused(words: list[str], capsys: Captured, code: int = 1) -> tuple[str, str]:
    """Kind and message of the one object a command says."""
    assert main([*words, "--json"]) == code
    [said] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return said["kind"], said["message"]


@pytest.mark.parametrize("words", EVERY, ids=named)
@pytest.mark.parametrize("token", ["${APIFY_TOKEN}", "${APIFY_TOKEN:-}"])
def test_without_a_token_nothing_is_asked(words: list[str], token: str, tmp_path: Path, capsys: Captured) -> None:
    write_file(tmp_path, "http://127.0.0.1:9", token)
    kind, message = refused(words, capsys, code=78)
    assert kind == "config_invalid"
    assert "APIFY_TOKEN" in message or "the token is empty: set the variable" in message


@pytest.mark.parametrize("words", EVERY, ids=named)
def test_a_bad_token_is_named(words: list[str], platform: Scripted, tmp_path: Path, capsys: Captured) -> None:
    file = tmp_path / "runrelay.yaml"
    file.write_text(file.read_text().replace(TOKEN, "apify-token-of-yesterday"))
    kind, message = refused(words, capsys)
    assert (kind, "check `token` of the source" in message) == ("source_token_refused", True)
    assert "yesterday" not in message


@pytest.mark.parametrize("words", EVERY, ids=named)
def test_what_the_platform_does_not_know_is_to_be_checked(
    words: list[str], platform: Scripted, capsys: Captured
) -> None:
    if words == ["actor", "runs"]:
        words = ["actor", "runs", "task:acme/nightly"]
    kind, message = refused(words, capsys)
    assert (kind, message.endswith("check the name or id")) == ("not_found", True)


@pytest.mark.parametrize("words", [["delete", "--yes"], ["resurrect"]], ids=named)
def test_a_run_that_goes_on_is_to_be_stopped_first(words: list[str], platform: Scripted, capsys: Captured) -> None:
    run_is(platform, "RUNNING")
    kind, message = refused(["actor", words[0], RUN, *words[1:]], capsys)
    assert (kind, message.endswith(f"`runrelay actor abort {RUN}`")) == ("run_unfinished", True)
    assert [one.split(" ")[0] for one in platform.asked] == ["GET", "GET"]


def test_a_run_that_was_resurrected_meanwhile_is_not_deleted_either(platform: Scripted, capsys: Captured) -> None:
    run_is(platform, "SUCCEEDED")
    platform.refuses(f"DELETE /actor-runs/{RUN}", 400, "cannot-remove-running-run")
    assert refused(["actor", "delete", RUN, "--yes"], capsys)[0] == "run_unfinished"


@pytest.mark.parametrize("words", CHANGES, ids=named)
def test_somebody_elses_run_is_not_changed(words: list[str], platform: Scripted, capsys: Captured) -> None:
    run_is(platform, "SUCCEEDED", account="somebodyElse")
    kind, message = refused(["actor", words[0], RUN, *words[1:]], capsys)
    assert (kind, "its account is somebodyElse" in message, "--source" in message) == ("run_foreign", True, True)
    platform.refuses(f"/actor-runs/{RUN}", 403, "permission-denied")
    assert refused(["actor", words[0], RUN, *words[1:]], capsys)[0] == "run_foreign"
    assert {one.split(" ")[0] for one in platform.asked} == {"GET"}


def test_a_run_of_ours_that_only_somebody_else_may_delete_is_said_to_be_theirs(
    platform: Scripted, capsys: Captured
) -> None:
    run_is(platform, "SUCCEEDED")
    platform.refuses(f"DELETE /actor-runs/{RUN}", 403, "permission-denied")
    kind, message = refused(["actor", "delete", RUN, "--yes"], capsys)
    assert (kind, "HTTP 403 permission-denied" in message) == ("run_foreign", True)


def test_a_run_that_may_not_be_seen_is_not_ours(platform: Scripted, capsys: Captured) -> None:
    platform.refuses(f"/actor-runs/{RUN}", 403, "insufficient-permissions")
    assert refused(["actor", "show", RUN], capsys)[0] == "forbidden"


@pytest.mark.parametrize("words", [["actor", word, RUN, *more] for word, *more in OF_A_RUN], ids=named)
def test_a_rate_limit_that_lasts_is_told(words: list[str], platform: Scripted, capsys: Captured) -> None:
    error = {"error": {"type": "rate-limit-exceeded", "message": MANY}}
    for path in (f"/actor-runs/{RUN}", f"/actor-runs/{RUN}/log"):
        platform.says(path, error, status=429, retry_after="60")
    kind, message = refused(words, capsys)
    assert (kind, message.endswith("try again in a minute")) == ("rate_limited", True)


def test_a_start_that_was_refused_for_now_did_not_happen(platform: Scripted, capsys: Captured) -> None:
    platform.refuses("/acts/acme~shop/runs", 429, "rate-limit-exceeded")
    assert refused(["start", "acme/shop"], capsys)[0] == "rate_limited"
    platform.refuses("/acts/acme~shop/runs", 402, "concurrent-runs-limit-exceeded")
    kind, message = refused(["start", "acme/shop"], capsys)
    assert (kind, message.endswith("try again later")) == ("source_unavailable", True)
    assert {one.partition(" ")[0] for one in platform.asked} == {"POST"}


def test_what_the_platform_refuses_for_another_reason_is_told_as_it_said(platform: Scripted, capsys: Captured) -> None:
    platform.refuses("/acts/acme~shop/runs", 400, "invalid-input")
    assert refused(["start", "acme/shop"], capsys) == (
        "source_refused",
        "the platform refused it (HTTP 400 invalid-input: told to)",
    )


@pytest.mark.parametrize(
    "words",
    [
        ["actor", "runs", "acme/shop/x"],
        ["actor", "last", "task:"],
        ["actor", "runs", "--after", "yesterday"],
        ["actor", "runs", "task:acme/nightly", "--after", "2026-01-01"],
        ["actor", "log", RUN, "--follow", "--tail", "3"],
        ["actor", "delete"],
        ["webhooks", "send", "--event", "ACTOR.RUN.SUCCEEDED"],
        ["webhooks", "send", "--event", "SOMETHING"],
        ["webhooks", "register", ".."],
        ["webhooks", "adopt", ""],
        ["actor", "show", " "],
        ["actor", "log", ""],
        ["actor", "abort", ""],
        ["actor", "delete", RUN, "", "--yes"],
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(words: list[str], tmp_path: Path, capsys: Captured) -> None:
    write_file(tmp_path, "http://127.0.0.1:9")
    assert refused(words, capsys, code=2)[0] == "usage_invalid"


def test_an_address_that_is_none_is_said_not_to_answer(tmp_path: Path, capsys: Captured) -> None:
    write_file(tmp_path, "http://127.0.0.1:9")
    kind, message = refused(["webhooks", "send", "http://[bad/"], capsys)
    assert (kind, "check the address" in message) == ("no_answer", True)


def test_what_others_say_does_not_move_the_cursor(capsys: Captured) -> None:
    report("source_refused", "said \x1b[2J\x07\nand more", json=False)
    assert capsys.readouterr().err == "runrelay: said \\x1b[2J\\x07\n  and more\n"


def test_a_token_no_header_can_bring_is_a_mistake_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    write_file(tmp_path, "http://127.0.0.1:9", "${APIFY_TOKEN}")
    monkeypatch.setenv("APIFY_TOKEN", "apify-token\r")
    kind, message = refused(["actor", "runs"], capsys, code=78)
    assert (kind, "control character" in message) == ("config_invalid", True)


@pytest.mark.parametrize(
    ("out", "code", "err"),
    [
        (">/dev/full", 1, "runrelay: what is said cannot be written: No space left on device\n"),
        (">&-", 0, ""),
    ],
)
def test_where_nothing_can_be_said_there_is_no_traceback(out: str, code: int, err: str, tmp_path: Path) -> None:
    import shlex
    import subprocess

    from tests.console.command import COMMAND, environment

    words = ["webhooks", "encode", "--url", f"{PUBLIC}/webhooks/apify", "--secret", SECRET, "--show-secret"]
    ended = subprocess.run(
        ["sh", "-c", f"{shlex.join([*COMMAND, *words])} {out}"],
        cwd=tmp_path,
        env=environment(tmp_path / "home"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (code, err)


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    import subprocess

    from tests.console.command import COMMAND, environment

    process = subprocess.Popen(
        [*COMMAND, "init", "--json"],
        cwd=tmp_path,
        env=environment(tmp_path / "home"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout
    process.stdout.close()
    assert process.stderr
    assert process.stderr.read() == b""
    assert process.wait(30) == 1
