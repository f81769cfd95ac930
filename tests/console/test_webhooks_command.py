"""`runrelay webhooks encode|decode`."""

import ast
import json
import re
from pathlib import Path

import pytest
from apify_client._utils.encoding import encode_webhooks_to_base64

from config.sources.apify.webhooks import decode, encode, pointing_at
from console.cli.main import main

SECRET = "canary-5ecret-of-the-hook"
URL = "https://hooks.example.com/webhooks/apify"
FILE = f"""\
version: 1
sources: {{apify: {{token: t0ken-of-mine, webhook: {{secrets: ["", {SECRET}]}}}}}}
sinks: {{out: {{type: file, base: results/}}}}
routes: [{{name: all, to: [{{sink: out}}]}}]
"""

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RUNRELAY_PUBLIC_URL", raising=False)
    Path("runrelay.yaml").write_text(FILE)


def test_the_value_opens_the_door_of_the_source(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setenv("RUNRELAY_PUBLIC_URL", "https://hooks.example.com/")
    assert main(["webhooks", "encode", "--show-secret", "--json"]) == 0
    assert decode(json.loads(capsys.readouterr().out)["value"]) == [pointing_at(URL, SECRET)]


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_the_secret_is_masked_in_every_form(more: list[str], capsys: Captured) -> None:
    assert main(["webhooks", "encode", "--url", URL, *more]) == 0
    told = capsys.readouterr()
    values = re.findall(r"[A-Za-z0-9+/]{60,}=*", told.out)
    assert values
    assert SECRET not in told.out + told.err + "".join(value for each in values for value in map(str, decode(each)))


def test_the_python_snippet_makes_the_same_value_with_the_official_client(capsys: Captured) -> None:
    assert main(["webhooks", "encode", "--url", URL, "--secret", "abcdefgh", "--show-secret"]) == 0
    said = re.search(r"webhooks=(\[\{.*\}\])\)", capsys.readouterr().out)
    assert said
    official = encode_webhooks_to_base64(ast.literal_eval(said[1]))
    assert official
    assert decode(official) == [pointing_at(URL, "abcdefgh")]


def test_events_can_be_chosen_and_wrong_ones_are_usage(capsys: Captured) -> None:
    words = ["webhooks", "encode", "--url", URL, "--secret", "", "--json", "--event"]
    assert main([*words, "ACTOR.RUN.FAILED"]) == 0
    assert json.loads(capsys.readouterr().out)["webhooks"] == [{"eventTypes": ["ACTOR.RUN.FAILED"], "requestUrl": URL}]
    assert main([*words, "ACTOR.RUN.FAILURE"]) == 2


def test_without_an_address_it_says_what_to_set(capsys: Captured) -> None:
    assert main(["webhooks", "encode"]) == 1
    assert "set RUNRELAY_PUBLIC_URL" in capsys.readouterr().err


def test_decode_shows_what_a_value_says_without_its_secrets(capsys: Captured) -> None:
    value = encode([pointing_at(URL, SECRET)])
    assert main(["webhooks", "decode", value, "--json"]) == 0
    [shown] = json.loads(capsys.readouterr().out)["webhooks"]
    assert (shown["requestUrl"], shown["headersTemplate"]) == (URL, '{"Authorization": "***"}')
    assert main(["webhooks", "decode", value, "--json", "--show-secret"]) == 0
    assert SECRET in capsys.readouterr().out


def test_decode_fails_on_what_the_platform_would_refuse(capsys: Captured) -> None:
    assert main(["webhooks", "decode", "W10x"]) == 1
    assert capsys.readouterr().err == "runrelay: the value cannot be used: Base64, but not of JSON\n"
