"""Whatever a file, a variable or an amount says: it is understood, or refused with its place. Nothing else."""

import re
from collections.abc import Sequence
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from config.contracts.errors import ConfigInvalid
from config.contracts.problem import Problem
from config.document import Document, read
from config.environment import Environment, fill
from config.routes import RouteTable, load
from config.units import NotAnAmount, octets, per_time, seconds, share
from tests.config.loading import ENVIRON

FILE = """\
version: 1
sources:
  main:
    type: apify
    token: ${TOKEN}
    webhook: {secrets: ["${HOOK}", "${OLD:-}"], run_id: [eventData.actorRunId, a.0], allow_ips: [10.0.0.0/8]}
    reconcile: {every: 10m, lookback: 3d}
sinks:
  out: {type: file, base: out}
  crm:
    type: http
    url: https://crm.example.com/hooks
    headers: {Authorization: "Bearer ${PASSWORD}"}
    timeout: 30s
    max_body: 1MiB
  screen: {type: stdout}
defaults:
  retry: {for: 2h, backoff: [0, 5s, 1m]}
  batch: {items: 50, bytes: 1MiB}
  history: {keep: 7d}
routes:
  - name: products
    when: {source: main, actor: ["acme/shop-*"], status: [SUCCEEDED, TIMED-OUT], not: {origin: TEST}}
    read: {dataset: [default, "extra-*"], clean: true, records: OUTPUT, log_tail: 20}
    to:
      - {sink: out, send: items, path: "{{ dataset }}{{ run.startedAt | date('%Y') }}", when: {status: SUCCEEDED}}
      - {sink: crm, name: shots, send: records}
  - name: rest  # everything
    final: true
    to:
    - sink: screen
unmatched: {to: [{sink: out, path: 'lost/{{ run.id }}'}]}
"""
#: What breaks YAML, our rules about it, or whoever reads it next.
SHARDS = st.sampled_from(
    [
        *(
            "\n",
            "\n\n  ",
            " ",
            "\t",
            ":",
            ": ",
            "- ",
            "? ",
            "{",
            "}",
            "[",
            "]",
            ",",
            '"',
            "'",
            "|",
            ">",
            "|2-\n",
            "#",
            " #",
        ),
        *("&a", "*a", "!x", "!!str ", "<<: ", "---\n", "...\n", "%YAML 1.1\n", "@", "`", "~", "null", "\ufeff", "\x85"),
        *("0o17", "0x1f", "1e999", ".inf", ".nan", "-0", "1_000", "12:30", "2026-01-01", "yes", "9" * 5000, "-" * 99),
        *("${", "${A}", "${A:-", "$${", "${file:/dev/null}", "${file:x}", "${TOKEN}", "{{", "}}", "{%", "{{ run.id }}"),
        *("{{ 1e999 }}", "{{ run.a|date(form=1, form=2) }}", "{% if run.a %}" * 101, "[" * 40, "{a: " * 40, "- " * 40),
        *(
            "\x00",
            "\x1b[2J",
            "\u202e",
            "\U0001f600",
            "\ue000",
            "\\",
            "\\x41",
            "\\ud800",
            "é",
            "k: v\n",
            "name: products\n",
        ),
    ]
)


@st.composite
def broken(draw: st.DrawFn, whole: str = FILE) -> str:
    """The file, cut and pasted a few times."""
    text = whole
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 40)))
        text = text[:start] + draw(SHARDS | st.just(text[start:end] * 2) | st.just("")) + text[end:]
    return text


def lies_inside(problem: Problem, text: str, file: Path) -> bool:
    """A place is a line and a column of the text, or the end behind it; an empty file, and a key it lacks, have none.
    Editors do not agree on what ends a line, so that there may be fewer than YAML has."""
    if (problem.line, problem.column) == (0, 0):
        return not text.strip() or "version" in problem.message or "empty" in problem.message
    return problem.file == str(file) and any(
        1 <= problem.column <= len(line) + 1
        for lines in (text.split("\n"), [*re.split("\r\n|[\n\r\x85\u2028\u2029]", text), ""])
        for line in lines[problem.line - 1 : problem.line]
    )


def tried(text: str, folder: Path, how: Any) -> Any:
    """What came of it; None after a refusal that names places of the text, and no others."""
    path = folder / "runrelay.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    problems: Sequence[Problem] = ()
    try:
        return how(path)
    except ConfigInvalid as exc:
        problems = exc.problems
    assert problems
    assert [str(problem) for problem in problems if not lies_inside(problem, text, path)] == []
    return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any")


def test_the_file_is_good_before_it_is_broken(folder: Path) -> None:
    assert isinstance(tried(FILE, folder, lambda path: load(path, ENVIRON)), RouteTable)


@given(text=broken())
def test_a_broken_file_loads_or_says_where_it_is_broken(text: str, folder: Path) -> None:
    assert isinstance(tried(text, folder, lambda path: load(path, ENVIRON)), RouteTable | None)


@given(text=st.lists(SHARDS | st.text(max_size=5), max_size=20).map("".join))
@example(text="\ud800")
@example(text="a: \ud800")
def test_any_shards_are_read_or_refused_with_a_place(text: str, folder: Path) -> None:
    assert isinstance(tried(text, folder, read), Document | None)


@given(raw=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes, folder: Path) -> None:
    path = folder / "bytes.yaml"
    path.write_bytes(raw)
    with suppress(ConfigInvalid):
        assert read(path).file == str(path)


NAMES = st.sampled_from(["A", "B", "_", "A1", "1A", "A-B", "file:x", "file:", "", " ", "A:-", "A:-x", "A:-:-", "é"])
REFERENCES = st.builds("${{{}}}".format, NAMES) | st.sampled_from(
    ["$", "${", "}", "$$", "$${", "$$${A}", "${${A}}", "{A}"]
)


@given(parts=st.lists(REFERENCES | st.text(max_size=4), max_size=8), value=st.text())
def test_a_reference_is_filled_or_told_and_nothing_is_filled_twice(parts: list[str], value: str, folder: Path) -> None:
    text = "".join(parts)
    filled = fill({"a": [text]}, Environment({"A": value, "B": "${A}"}, folder))
    assert isinstance(filled.value["a"][0], str)
    if set(filled.used) | set(filled.failed):
        assert set(filled.used) | set(filled.failed) == {("a", 0)}
    else:
        assert filled.value["a"][0] == re.sub(r"\$\$(?=\{)", "$", text)


NUMBERS = st.from_regex(r"[0-9٣.eE+_-]{1,400}", fullmatch=True) | st.sampled_from(
    ["9" * 400, "0." + "9" * 400, "1e9", ""]
)
UNITS = st.sampled_from([*"smhdB%", "ms", "kB", "KiB", "GiB", "", "/s", "/1.5m", "/" + "9" * 400 + "d"])


@given(number=NUMBERS, gap=st.sampled_from(["", " ", "  ", "\n"]), unit=UNITS | st.text(max_size=3))
@example(number="9" * 400, gap="", unit="B")
@example(number="9" * 5000, gap="", unit="/s")
def test_any_number_with_any_unit_is_a_usable_amount_or_none(number: str, gap: str, unit: str) -> None:
    for parse in (seconds, octets, share):
        try:
            amount = parse(f"{number}{gap}{unit}")
        except NotAnAmount:
            continue
        assert isfinite(amount)
        assert amount >= 0
    try:
        rate = per_time(f"{number}{gap}{unit}")
    except NotAnAmount:
        return
    assert rate.many >= 1
    assert 0 < rate.seconds < float("inf")
