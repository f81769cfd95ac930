"""The HTTP sink as it stands in runrelay.yaml: what is sent, what survives, and what makes no sense."""

from pathlib import Path

import pytest

from config.contracts.errors import ConfigInvalid
from config.routes import RouteTable, load
from config.units import PerTime
from workers.sinks import http

URL = "url: https://crm.example.com/hooks"


def loaded(folder: Path, target: str = "", sink: str = URL, more: str = "") -> RouteTable:
    file = folder / "runrelay.yaml"
    file.write_text(f"""\
version: 1
sources: {{apify: {{token: "${{TOKEN}}", webhook: {{secrets: ["${{TOKEN}}"]}}}}}}
sinks: {{crm: {{type: http, {sink}}}}}
routes: [{{name: all, read: {{dataset: default}}, to: [{{sink: crm{target}}}]}}]
{more}
""")
    return load(file, {"TOKEN": "t0ken-t0ken-t0ken", "NEW": "whsec_bmV3IHNlY3JldA=="})


def told(folder: Path, target: str = "", sink: str = URL, more: str = "") -> list[str]:
    with pytest.raises(ConfigInvalid) as caught:
        loaded(folder, target, sink, more)
    return [f"{problem.path}: {problem.message}" for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("options", "send"),
    [
        ("", "items"),
        (", per: item, parallel: 4", "items"),
        (", bisect: true", "items"),
        (", per: run", "run"),
        (", send: run", "run"),
    ],
)
def test_what_is_sent_follows_from_what_a_request_is_per(tmp_path: Path, options: str, send: str) -> None:
    assert loaded(tmp_path, options).routes[0].to[0].send == send


def test_a_body_survives_the_document_a_delivery_is_planned_with(tmp_path: Path) -> None:
    table = loaded(tmp_path, ', per: item, body: {sku: "{{ item.id }}", fixed: [1, true]}')
    restored = table.restore(table.document(table.routes[0])).route.to[0]
    assert restored == table.routes[0].to[0]
    assert isinstance(restored.options, http.Target)
    assert restored.options.body == http.Body({"sku": "{{ item.id }}", "fixed": [1, True]})


def test_a_secret_that_is_replaced_and_a_rate(tmp_path: Path) -> None:
    table = loaded(tmp_path, sink=URL + ', sign: ["${NEW}", "${OLD:-}"], rate: 5/s')
    config = table.restore(table.document(table.routes[0])).sinks["crm"].config
    assert isinstance(config, http.Config)
    assert [secret.get_secret_value() for secret in config.sign] == ["whsec_bmV3IHNlY3JldA=="]
    assert config.rate == PerTime(5, 1.0)
    assert table.warnings == ()


@pytest.mark.parametrize("written", ["written-out-secret", "[written-out-secret]"])
def test_a_secret_that_is_written_out_is_warned_of(tmp_path: Path, written: str) -> None:
    table = loaded(tmp_path, sink=f"{URL}, sign: {written}")
    assert [str(warning.path).startswith("sinks.crm.sign") for warning in table.warnings] == [True]


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        (", per: run, send: items", "send: `per: run` gets the run and no items: leave out `send`"),
        (", per: item, send: run", "per: a run has no item: leave out `per`"),
        (', send: run, body: "{{ items }}"', "body: `items` has no meaning with `send: run`"),
    ],
)
def test_a_target_that_makes_no_sense_is_told_with_its_place(tmp_path: Path, target: str, problem: str) -> None:
    assert told(tmp_path, target) == [f"routes[0].to[0].{problem}"]


@pytest.mark.parametrize(
    ("sink", "problem"),
    [
        (
            ", verify: false",
            "sinks.crm: certificates are always verified: leave out `verify`, name a CA of your own with `ca`",
        ),
        (", key: us.key", "sinks.crm: `key` belongs to a certificate: name it with `cert`"),
        (', sign: ["", ""]', "sinks.crm.sign[0]: an empty secret signs nothing"),
    ],
)
def test_a_sink_that_makes_no_sense_is_told_with_the_cure(tmp_path: Path, sink: str, problem: str) -> None:
    said = told(tmp_path, sink=URL + sink)
    assert said[0].partition(" · Example")[0] == problem


def test_an_alert_may_have_a_body_of_its_own(tmp_path: Path) -> None:
    table = loaded(tmp_path, more='alerts: {to: [{sink: crm, body: {text: "look at {{ record.key }}"}}]}')
    assert table.alerts is not None
    assert told(tmp_path, more='alerts: {to: [{sink: crm, body: "{{ items }}"}]}') == [
        "alerts.to[0].body: `items` has no meaning in an alert: it has `record.key`"
    ]
