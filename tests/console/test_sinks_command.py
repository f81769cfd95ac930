"""`runrelay sinks`, and the reference page made of the same."""

import json
import re
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, HttpUrl, SecretStr

from config import plugins
from config.language.values import Value
from config.routes import load
from config.units import Duration, PerTime, Rate, Size
from console.cli import output
from console.cli.main import main
from console.options import Option, options
from console.sink_pages import Page, _read, page, pages
from scripts.reference import SINKS, sinks
from workers.formats import FilePath

SOURCES = 'sources: {apify: {token: "t-0123456789", webhook: {secrets: ["s-0123456789-0123456789-0123456789"]}}}\n'


class Storm(BaseModel):
    for_: Duration = Field(300.0, alias="for", description="How long.")


class Everything(BaseModel):
    url: SecretStr = Field(description="Where\n to.")
    base: Path | None = Field(None, description="A folder.")
    mode: Literal["append", "upsert"] = Field("append", description="How.")
    wait: Annotated[Duration, Field(gt=0)] = Field(90.0, description="So long.")
    most: Size = Field(16 * 1024**2, description="So much.")
    pace: Rate = Field(PerTime(5, 1.0), description="So often.")
    seldom: Rate | None = Field(None, description="So seldom.")
    key: tuple[str, ...] = Field((), description="Which.")
    more: dict[str, int] = Field({}, description="More.")
    sure: bool = Field(True, description="Whether.")
    collect: Storm = Field(Storm(), description="A storm.")
    name: FilePath | None = Field(None, description="Its name.")
    body: Value | None = Field(None, description="What it holds.")
    keys: SecretStr | dict[str, SecretStr] | None = Field(None, description="Who.")
    to: HttpUrl = Field(description="Whereto.")


def test_options_are_told_as_somebody_would_write_them() -> None:
    assert list(options(Everything)) == [
        Option("url", "secret", None, "Where to."),
        Option("to", "URL", None, "Whereto."),
        Option("base", "path", "", "A folder."),
        Option("mode", "`append` · `upsert`", "append", "How."),
        Option("wait", "duration", "90s", "So long."),
        Option("most", "size", "16MiB", "So much."),
        Option("pace", "rate", "5/s", "So often."),
        Option("seldom", "rate", "", "So seldom."),
        Option("key", "list of texts", "", "Which."),
        Option("more", "mapping of numbers", "", "More."),
        Option("sure", "yes or no", "true", "Whether."),
        Option("collect", "block", "", "A storm."),
        Option("collect.for", "duration", "5m", "How long."),
        Option("name", "template", "", "Its name."),
        Option("body", "text or mapping", "", "What it holds."),
        Option("keys", "secret or mapping of secrets", "", "Who."),
    ]


@pytest.mark.parametrize("one", pages(), ids=lambda one: one.type)
def test_every_sink_says_what_people_need_to_know(one: Page) -> None:
    assert one.about is not None
    assert one.about.promise.startswith(("exactly once", "at least once"))
    assert one.about.tested
    assert one.summary
    assert not [option.name for option in (*one.config, *one.target) if not option.description]


@pytest.mark.parametrize("one", pages(), ids=lambda one: one.type)
def test_every_example_is_a_file_that_loads(one: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert one.about is not None
    path = tmp_path / "runrelay.yaml"
    path.write_text(f"version: 1\n{SOURCES}{one.about.example}")
    urls = {"DATABASE_URL": "postgresql://me:secret@db/x", "SLACK_URL": "https://hooks.slack.com/services/T1/B2/C3"}
    named = {
        name: urls.get(name, f"a-secret-{name}-0123456789") for name in re.findall(r"\$\{([A-Z_]+)", one.about.example)
    }
    table = load(path, named)
    used = {spec.type for spec in table.sinks.values()}
    assert used <= {one.type, *one.about.synonyms}


@pytest.mark.parametrize("one", pages(), ids=lambda one: one.type)
def test_what_is_to_be_installed_is_an_extra(one: Page) -> None:
    extras = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert one.about is not None
    assert not one.about.extra or f"\n{one.about.extra} = [" in extras


def test_synonyms_are_those_that_load() -> None:
    said = {name: one.type for one in pages() if one.about for name in one.about.synonyms}
    known = {name: type for name, type in plugins.SYNONYMS.items() if type in {one.type for one in pages()}}
    assert said == known


def test_the_list_names_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sinks", "--json"]) == 0
    told = [json.loads(line)["type"] for line in capsys.readouterr().out.splitlines()]
    assert told == plugins.known("workers.sinks", plugins.SINKS)
    assert main(["sinks"]) == 0
    shown = capsys.readouterr().out
    assert all(f" {name} " in shown for name in told)


def test_one_is_told_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sinks", "stdout"]) == 0
    shown = capsys.readouterr().out
    for part in ("at least once", "prefix", "Stands in front of every line.", "type: stdout", "records"):
        assert part in shown


def test_an_unknown_one_is_told_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sinks", "sqlit"]) == 1
    assert "did you mean `sqlite`?" in capsys.readouterr().err


def test_one_that_lacks_its_package_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lacking(package: str, type: str, group: str) -> None:
        raise plugins.PluginMissing(f"`{type}` needs the package `x`: pip install 'runrelay[{type}]'")

    monkeypatch.setattr(plugins, "load", lacking)
    assert page("stdout").missing
    assert main(["sinks", "stdout"]) == 1
    told = capsys.readouterr()
    assert "Prints items as JSON Lines" in told.out
    assert "Promise   at least once" in told.out
    assert told.err == "runrelay: `stdout` needs the package `x`: pip install 'runrelay[stdout]'\n"


@pytest.mark.parametrize("one", pages(), ids=lambda one: one.type)
def test_text_and_promise_can_be_read_without_its_packages(one: Page) -> None:
    assert _read(one.type, "x") == Page(one.type, one.text, about=one.about, missing="x")


@pytest.mark.parametrize("words", [[], *([name] for name in plugins.known("workers.sinks", plugins.SINKS))])
def test_prose_is_as_wide_as_the_console(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "FILE_WIDTH", 80)
    assert main(["sinks", *words]) == 0
    prose = capsys.readouterr().out.split("\nExample\n")[0]
    assert [line for line in prose.splitlines() if len(line.rstrip()) > 80] == []


def test_lists_and_code_stay_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    kept = "- one\n- two\n\n    code"
    output.Output(False).flow(f"a\nb\n\n{kept}")
    assert capsys.readouterr().out == f"a b\n\n{kept}\n"


def test_a_url_in_a_page_is_shown_as_it_was_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sinks", "postgres"]) == 0
    assert "postgresql://user:password@host:5432/database" in capsys.readouterr().out


def test_the_reference_page_is_what_the_sinks_say() -> None:
    assert SINKS.read_text() == sinks(), "run: python scripts/reference.py"
