"""Finding the module that a `type:` names."""

from importlib.metadata import EntryPoint
from typing import Any

import pytest

from config import plugins
from config.plugins import SINKS, SOURCES, PluginMissing, load
from tests.config.plugins import platform, shelf


def refusal(type: str, group: str = SINKS) -> str:
    with pytest.raises(PluginMissing) as caught:
        load("tests.config.plugins", type, group)
    assert [problem.message for problem in caught.value.problems] == [caught.value.message]
    return caught.value.message


def test_a_plain_type_is_a_module_of_ours() -> None:
    assert load("tests.config.plugins", "shelf", SINKS) is shelf


def test_a_dotted_type_is_anybodys_module() -> None:
    assert load("config.sources", "tests.config.plugins.platform", SOURCES) is platform


def test_an_entry_point_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("teams", "tests.config.plugins.shelf", SINKS)

    def entry_points(*, group: str, name: str = "teams") -> list[Any]:
        return [entry] if (group, name) == (SINKS, "teams") else []

    monkeypatch.setattr(plugins, "entry_points", entry_points)
    assert load("config.sources", "teams", SINKS) is shelf
    with pytest.raises(PluginMissing, match="did you mean `teams`"):
        load("config.sources", "team", SINKS)


def test_an_unknown_type_names_the_nearest_and_all_known() -> None:
    known = "bare, greedy, needy, notes, platform, rows, shelf, wrecked"
    assert refusal("shelv") == f"there is no type `shelv`: did you mean `shelf`? known are {known}"
    assert refusal("zzz") == f"there is no type `zzz`: known are {known}"


@pytest.mark.parametrize("type", ["__init__", "_private", "shelf/..", "", "no such", ".shelf", "acme."])
def test_what_is_no_name_of_a_module_is_no_type(type: str) -> None:
    assert refusal(type).startswith(f"there is no type `{type}`")


@pytest.mark.parametrize("type", ["acme.teams", "tests.config.plugins.teams"])
def test_a_dotted_module_that_is_not_there_is_said_to_be_missing(type: str) -> None:
    assert refusal(type).startswith(f"there is no module `{type}`")


def test_a_missing_library_names_the_extra_to_install() -> None:
    needs = "needs the package `a_library_nobody_installed`, which is not installed"
    assert refusal("needy") == f"`needy` {needs}: pip install 'runrelay[needy]'"
    dotted = "tests.config.plugins.needy"
    assert refusal(dotted) == f"`{dotted}` {needs}: install it"


def test_a_module_that_fails_to_load_says_how() -> None:
    how = "ZeroDivisionError: integer division or modulo by zero"
    assert refusal("wrecked") == f"the module `tests.config.plugins.wrecked` fails to load: {how}"


def test_a_module_that_is_no_sink_says_what_it_lacks() -> None:
    unusable = "the module `tests.config.plugins.{}` cannot be used: "
    assert refusal("bare") == unusable.format("bare") + "it lacks `Target`, `connect`"
    assert refusal("bare", SOURCES) == unusable.format("bare") + "it lacks `connect`"
    assert (
        refusal("greedy")
        == unusable.format("greedy") + "TAKES has words other than `items`, `records`, `requests`, `run`, `log`"
    )
