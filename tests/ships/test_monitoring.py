"""Alerts speak of figures that exist, and every one has a page that says what to do."""

import re
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from config.reloading import RELOADED
from tests.ships.repository import ROOT
from workers import metrics

PREFIX = "runrelay_"
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "k8s/monitoring/rules.yaml").read_text())["spec"]["groups"]
    for rule in group["rules"]
]
PAGES = ROOT / "docs/runbooks"


def known() -> set[str]:
    """Names as Prometheus stores them, without the suffixes of histograms."""
    ours = [*vars(metrics).values(), RELOADED]
    return {
        f"{family.name}_total" if family.type == "counter" else family.name
        for collector in (each for each in ours if isinstance(each, MetricWrapperBase))
        for family in collector.describe()
    }


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_a_rule_asks_for_figures_of_the_worker_and_names_its_page(rule: dict[str, Any]) -> None:
    named = set(re.findall(rf"{PREFIX}\w+", rule["expr"]))
    assert named
    assert named <= known()
    page = ROOT / rule["annotations"]["runbook"]
    assert page.parent == PAGES
    assert page.read_text().startswith(f"# {rule['alert']}\n")
    assert rule["labels"]["severity"] in {"critical", "warning"}


def test_no_page_is_left_without_its_rule() -> None:
    assert {page.name for page in PAGES.iterdir()} == {
        rule["annotations"]["runbook"].rpartition("/")[2] for rule in RULES
    }


def test_pages_lead_to_pages_that_exist() -> None:
    for page in PAGES.iterdir():
        for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
            assert (page.parent / link).exists(), (page.name, link)


def test_the_reference_has_every_figure_and_no_other() -> None:
    told = re.findall(rf"^\| `({PREFIX}\w+)", (ROOT / "docs/reference/metrics.md").read_text(), re.MULTILINE)
    assert sorted(told) == sorted(known())
