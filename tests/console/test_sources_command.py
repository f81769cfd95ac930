"""`runrelay sources TYPE`, the reference page made of the same, and what an editor knows of each type."""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import jsonschema_rs
import pytest
from pydantic import BaseModel, BeforeValidator, Field

from config import plugins
from config.contracts.errors import ConfigInvalid
from config.document import parse
from config.routes import load
from console.cli.main import main
from console.options import Option, options
from console.schema import schema
from console.source_pages import Page, page, pages
from scripts.reference import SOURCES, sources

REST = "sinks: {out: {type: stdout}}\nroutes: [{name: all, to: [{sink: out}]}]\n"
SECRET = "whsec_c2VjcmV0LW9mLXRoZS1ob29r"
VALIDATOR = jsonschema_rs.validator_for(schema())


class Plain(BaseModel):
    scheme: Literal["plain"]
    size: int = Field(7, description="How many.")


class Keyed(BaseModel):
    scheme: Literal["keyed"]
    key: str = Field(description="Which.")
    size: int = Field(7, description="How many.")


class Inner(BaseModel):
    quiet: int = Field(10, description="So long.")


Kinds = Annotated[
    Annotated[Plain | Keyed, Field(discriminator="scheme")],
    BeforeValidator(lambda written: {"scheme": written} if isinstance(written, str) else written),
]


class Everything(BaseModel):
    way: Kinds = Field(Plain(scheme="plain"), description="How.")
    other: Kinds | None = Field(None, description="How else.")
    settle: Inner = Field(Inner(quiet=0), description="When.")


def test_a_block_of_several_kinds_is_told_by_its_kinds_and_whose_each_key_is() -> None:
    def of(key: str) -> list[Option]:
        many = Option(f"{key}.size", "number", "7", "plain, keyed: How many.")
        return [many, Option(f"{key}.key", "text", None, "keyed: Which.")]

    assert list(options(Everything)) == [
        Option("way", "`plain` · `keyed` or block", "plain", "How."),
        *of("way"),
        Option("other", "`plain` · `keyed` or block", "", "How else."),
        *of("other"),
        Option("settle", "block", "", "When."),
        Option("settle.quiet", "number", "0", "So long."),
    ]


def test_the_list_begins_with_apify_and_ends_with_whatever_a_file_describes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (["sources", "--types"], ["sources"]):  # there is no file
        assert main([*words, "--json"]) == 0
        told = [json.loads(line)["type"] for line in capsys.readouterr().out.splitlines()]
        assert (told[0], told[-1]) == ("apify", "generic")
        assert sorted(told) == plugins.known("config.sources", plugins.SOURCES)
    assert main(["sources"]) == 0
    assert " ittybit " in capsys.readouterr().out


@pytest.mark.parametrize("one", pages(), ids=lambda one: one.type)
def test_every_type_says_what_people_need_to_know(one: Page, capsys: pytest.CaptureFixture[str]) -> None:
    assert one.about is not None
    assert all((one.about.platform, one.about.promise, one.about.tested, one.summary))
    assert [option.name for option in one.options if not option.description] == []
    assert main(["sources", one.type]) == 0
    shown = capsys.readouterr().out
    assert all(part in shown for part in ("Promise", "Tested", "webhook.secrets", one.about.example.splitlines()[1]))


def test_an_unknown_one_is_told_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sources", "itybit"]) == 1
    told = capsys.readouterr().err
    assert "did you mean `ittybit`?" in told
    assert told.endswith("; any other platform: `type: generic`\n")


def test_the_reference_page_is_made_of_them() -> None:
    assert SOURCES.read_text() == sources()


def loads(folder: Path, text: str) -> bool:
    path = folder / "runrelay.yaml"
    path.write_text(f"version: 1\n{text}{REST}")
    names = re.findall(r"\$\{([A-Z_]+)", text)
    try:
        load(path, {name: f"a-secret-{name}-0123456789" for name in names})
    except ConfigInvalid:
        return False
    return True


def fits(text: str) -> bool:
    return VALIDATOR.is_valid(parse(f"version: 1\n{text}{REST}", "").value)


@pytest.mark.parametrize("one", pages(), ids=lambda one: one.type)
def test_every_example_is_a_file_that_loads_and_fits(one: Page, tmp_path: Path) -> None:
    assert one.about is not None
    assert loads(tmp_path, one.about.example)
    assert fits(one.about.example)


def of_generic(**options: Any) -> str:
    webhook = {"secrets": [SECRET], "verify": "standard_webhooks"}
    return f"sources: {json.dumps({'x': {'type': 'generic', 'webhook': webhook, **options}})}\n"


def verified(verify: object) -> str:
    return of_generic(webhook={"secrets": [SECRET], "verify": verify})


def paged(paging: object) -> str:
    return of_generic(api={"url": "https://api.example.com"}, items={"fetch": "/items/{id}", "paging": paging})


GOOD = {
    "a scheme as a word": verified("token"),
    "another scheme as a word": verified("standard_webhooks"),
    "a scheme with its options": verified({"scheme": "token", "header": "X-Secret"}),
    "a scheme that needs options": verified({"scheme": "hmac", "header": "X-Signature", "encoding": "base64"}),
    "a way of paging as a word": paged("next"),
    "a way of paging with its options": paged({"style": "cursor", "next": "more.at", "size": 50}),
    "numbers and truth values for words": of_generic(
        run={"status": "state", "succeeded": 10, "failed": [20, "30", False]}
    ),
    "one place for a list": of_generic(event={"id": "data.id", "kind": "type", "tests": "ping"}),
    "what is kept of webhooks": of_generic(
        webhook={"secrets": [SECRET], "verify": "token", "capture": {"keep": 3, "for": "2h"}}
    ),
}
BAD = {
    "a scheme that needs options as a word": verified("hmac"),
    "a scheme that is none": verified("rsa"),
    "an option of another scheme": verified({"scheme": "token", "header": "X", "prefix": "sha256="}),
    "a scheme without what it needs": verified({"scheme": "hmac"}),
    "a way of paging that needs options as a word": paged("cursor"),
    "an option of another way of paging": paged({"style": "offset", "next": "a"}),
    "a list for a word": of_generic(run={"status": "state", "succeeded": [["done"]]}),
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD.keys())
def test_what_loads_fits(text: str, tmp_path: Path) -> None:
    assert (loads(tmp_path, text), fits(text)) == (True, True)


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_what_does_not_load_does_not_fit(text: str, tmp_path: Path) -> None:
    assert (loads(tmp_path, text), fits(text)) == (False, False)


@pytest.mark.parametrize("type", ["apify", "ittybit", "generic"])
def test_an_editor_describes_every_key_of_every_type(type: str) -> None:
    properties = schema()["$defs"][f"source.{type}"]["properties"]
    assert [key for key, option in properties.items() if not option.get("description")] == []


def test_an_editor_is_told_what_a_block_of_a_type_says_else_than_its_keys() -> None:
    settle = {type: schema()["$defs"][f"source.{type}"]["properties"]["settle"] for type in ("apify", "ittybit")}
    assert {type: said.get("default") for type, said in settle.items()} == {"apify": None, "ittybit": {"quiet": "0"}}


def test_pages_of_somebody_elses_type_need_no_more_than_a_module() -> None:
    found = page("tests.config.plugins.platform")
    assert (found.about, found.summary) == (None, "A source that only keeps what it was given.")
