"""The example that each key of runrelay.yaml has: in the place of its key it makes a file that loads."""

import json
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from pydantic.fields import FieldInfo
from yamlcore import CCoreLoader

from config import cases, shapes
from config.document import KeyPath
from scripts.reference import CONFIGURATION, configuration
from tests.config.loading import table

ENVIRON = {"APIFY_TOKEN": "canary-token-1", "HOOK_SECRET": "canary-hook-22"}
FILE: dict[str, Any] = {
    "version": 1,
    "sources": {"apify": {"token": "${APIFY_TOKEN}", "webhook": {"secrets": ["${HOOK_SECRET}"]}}},
    "sinks": {
        "out": {"type": "file", "base": "results/"},
        "oncall": {
            "type": "notify",
            "url": "https://hooks.slack.com/services/T0123ABCD/B0123ABCD/abcdefghijklmnopqrstuvwx",
        },
    },
    "routes": [{"name": "all", "to": [{"sink": "out"}]}],
}
#: What examples of tests are about.
TESTED = [
    {
        "name": "products",
        "expect": {"items": {"min": 1}},
        "to": [
            {"sink": "out", "name": "good"},
            {"sink": "out", "name": "lake", "path": "{{ run.id }}.jsonl"},
            {"sink": "oncall", "text": "hello", "send": "run"},
        ],
    },
    {"name": "screenshots", "to": [{"sink": "out"}]},
]
CASE = {"name": "one", "expect": {"route": "products"}}

#: Where the keys of each shape stand, and what else must stand there.
ROUTE: KeyPath = ("routes", 0)
PLACES: dict[str, tuple[KeyPath, dict[str, Any]]] = {
    "FileShape": ((), {}),
    "SourceShape": (("sources", "apify"), {}),
    "SinkShape": (("sinks", "out"), {}),
    "DefaultsShape": (("defaults",), {}),
    "PaceShape": (("defaults",), {}),
    "HistoryShape": (("defaults", "history"), {}),
    "RetryShape": (("defaults", "retry"), {}),
    "BatchShape": (("defaults", "batch"), {}),
    "RouteShape": (ROUTE, {}),
    "FactsShape": ((*ROUTE, "when"), {}),
    "WhenShape": ((*ROUTE, "when"), {}),
    "NotShape": ((*ROUTE, "when", "not"), {}),
    "CostRangeShape": ((*ROUTE, "when", "cost"), {}),
    "ReadShape": ((*ROUTE, "read"), {}),
    "TransformShape": ((*ROUTE, "read"), {}),
    "OnlyShape": ((*ROUTE, "read", "only"), {"key": ["url"]}),
    "ExpectShape": ((*ROUTE, "expect"), {"items": {"min": 1}}),
    "ItemsShape": ((*ROUTE, "expect", "items"), {}),
    "CostShape": ((*ROUTE, "expect", "cost"), {}),
    "FreshnessShape": ((*ROUTE, "freshness"), {}),
    "AfterShape": ((*ROUTE, "after"), {}),
    "TargetShape": ((*ROUTE, "to", 0), {}),
    "UnmatchedShape": (("unmatched",), {"to": [{"sink": "out"}]}),
    "AlertsShape": (("alerts",), {}),
    "AlertTargetShape": (("alerts", "to", 0), {}),
    "CaseShape": (("tests", 0), CASE),
    "GivenShape": (("tests", 0, "given"), {}),
    "GivenRunShape": (("tests", 0, "given", "run"), {}),
    "GivenRecordShape": (("tests", 0, "given", "records", "OUTPUT"), {}),
    "ExpectedShape": (("tests", 0, "expect"), {}),
}
#: The same for single keys.
BESIDE: dict[tuple[str, str], dict[str, Any]] = {
    ("FreshnessShape", "days"): {"by": "07:00"},
    **{("ExpectedShape", key): {"route": "products"} for key in ("sent", "paths", "texts", "held", "filtered")},
}


def _fields() -> Iterator[tuple[str, str, FieldInfo]]:
    for module in (shapes, cases):
        for name, shape in vars(module).items():
            if name.endswith("Shape") and name != "Shape":
                for field, info in shape.model_fields.items():
                    yield name, info.alias or field, info


FIELDS = {(shape, key): info for shape, key, info in _fields()}


@pytest.mark.parametrize(("shape", "key"), FIELDS, ids=[f"{shape} {key}" for shape, key in FIELDS])
def test_an_example_loads_in_its_place(shape: str, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "routes").mkdir()
    (tmp_path / "routes/more.yaml").write_text("routes: [{name: more, to: [{sink: out}]}]\n")
    products = ModuleType("acme.products")
    products.clean = lambda item, run: item  # type: ignore[attr-defined]  # made here
    monkeypatch.setitem(sys.modules, "acme.products", products)
    monkeypatch.setitem(sys.modules, "acme", ModuleType("acme"))
    for line in FIELDS[shape, key].examples or []:
        value = yaml.load(line, CCoreLoader)  # the safe loader, of the types that JSON has
        assert list(value) == [key], line
        assert table(tmp_path, json.dumps(whole(shape, key, value)), ENVIRON).routes


def whole(shape: str, key: str, value: dict[str, Any]) -> dict[str, Any]:
    """A whole file with the key in it."""
    path, needed = PLACES[shape]
    file = deepcopy(FILE)
    if "tests" in path:
        file |= {"routes": deepcopy(TESTED), "tests": [deepcopy(CASE)]}
    if shape == "ExpectedShape":
        file["tests"][0]["expect"] = {}
    if "alerts" in path:
        file["alerts"] = {"to": [{"sink": "oncall"}]}
    block: Any = file
    for step in path:
        block = block[step] if isinstance(step, int) else block.setdefault(step, {})
    block.update(needed | BESIDE.get((shape, key), {}) | value)
    return file


@pytest.mark.parametrize(("shape", "key"), FIELDS, ids=[f"{shape} {key}" for shape, key in FIELDS])
def test_every_key_has_a_description_and_an_example(shape: str, key: str) -> None:
    info = FIELDS[shape, key]
    assert info.description
    assert info.description.rstrip().endswith(".")
    assert info.examples


def test_the_page_of_all_keys_is_made_of_them() -> None:
    page = configuration()
    assert CONFIGURATION.read_text() == page
    for key, info in FIELDS.items():
        assert f"<br>`{str((info.examples or [''])[0]).replace('|', chr(92) + '|')}` |" in page, key
