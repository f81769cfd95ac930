"""Whatever stands in the place of something in a file that uses every key: it loads, or is refused where that stands.

What loads is right: its routes can be restored, and its tests come to an end.
"""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.document import KeyPath, descend, parse
from config.routes import RouteTable, load
from console.recipes import recipe
from tests.config.test_any_text import SHARDS, tried
from tests.console.recipe_files import environ
from workers.rehearsal import rehearse

NAME = "warehouse-and-lake"
ENVIRON = environ(NAME)
WHOLE = parse(recipe(NAME), NAME).value
#: Behind a key, it makes that key stand twice.
TWICE = "\x01"


def paths(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, below in steps:
        yield (*path, step)
        yield from paths(below, (*path, step))


PATHS = list(paths(WHOLE))
KEYS = sorted({step for path in PATHS for step in path if isinstance(step, str)})
WORDS = st.sampled_from(
    [
        *(
            "item.price | number > 10",
            "run.usageTotalUsd",
            "record.key",
            "item",
            "items[0]",
            "{{ item.url }}",
            "{{ run }}",
        ),
        *("50%", "10m", "4MiB", "5/s", "07:00 Europe/Berlin", "*", "warehouse", "oncall", "expect", "unmatched", "url"),
        *("items", "records", "run", "log", "json:dumps", "os.path:join", "no.such:thing", "../x", "#/a", "${file:.}"),
    ]
)
SCALARS = st.booleans() | st.integers() | st.floats() | WORDS | SHARDS | st.sampled_from(KEYS) | st.text(max_size=9)
VALUES = st.recursive(
    SCALARS | st.sampled_from(PATHS).map(lambda path: descend(WHOLE, path)),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def changed(draw: st.DrawFn) -> str:
    """The file, with one to three of its parts replaced, left out, added, renamed or written twice."""
    tree = deepcopy(WHOLE)
    for _ in range(draw(st.integers(1, 3))):
        *around, step = draw(st.sampled_from(PATHS))
        holder: Any = descend(tree, tuple(around))
        how = draw(st.sampled_from(["replace", "delete", "add", "rename", "twice"]))
        if descend(tree, (*around, step)) is None:
            continue  # an earlier change took it away
        if how == "replace":
            holder[step] = draw(VALUES)
        elif how == "delete":
            del holder[step]
        elif isinstance(step, int):
            holder.append(deepcopy(holder[step]) if how == "twice" else draw(VALUES))
        elif how == "add":
            holder[draw(st.sampled_from(KEYS))] = draw(VALUES)
        else:
            new = f"{step}{TWICE}" if how == "twice" else draw(st.sampled_from(KEYS) | st.text(max_size=5))
            holder[new] = holder[step] if how == "twice" else holder.pop(step)
    return json.dumps(tree, indent=1).replace(json.dumps(TWICE)[1:-1], "")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any")


def test_it_is_good_before_anything_is_changed(folder: Path) -> None:
    assert isinstance(tried(json.dumps(WHOLE, indent=1), folder, lambda path: load(path, ENVIRON)), RouteTable)


@given(text=changed())
def test_a_changed_file_loads_or_says_where_it_is_wrong(text: str, folder: Path) -> None:
    table = tried(text, folder, lambda path: load(path, ENVIRON))
    if table is not None:
        assert [table.restore(table.document(route)).route for route in table.routes] == list(table.routes)
        assert len(list(rehearse(table))) == len(table.cases)
