"""`runrelay test`, and `check` that runs the same tests."""

import json
from pathlib import Path

import pytest

from console.cli.main import main

Captured = pytest.CaptureFixture[str]
FILE = """\
version: 1
sources: {apify: {token: apify-token-0123456789, webhook: {secrets: [hook-secret-0123456789]}}}
sinks: {disk: {type: file, base: results/}}
routes: [{name: all, when: {status: SUCCEEDED}, read: {where: item.n}, to: [{sink: disk}]}]
"""
TESTS = """\
tests:
  - {name: zero is nothing, given: {items: [{n: 0}, {n: 1}]}, expect: {route: all, sent: {disk: [{n: 1}]}}}
  - {name: a wrong one, given: {items: [{n: 2}]}, expect: {route: all, sent: {disk: [{n: 3}]}, filtered: 0}}
  - {name: failed, given: {run: {status: FAILED}}, expect: {unmatched: true}}
"""
OBJECTION = "`disk`, item 0: `n` should be 3, and is 2"
FAILED = f"""\
ok     zero is nothing
FAILED a wrong one
       runrelay.yaml:7:90: {OBJECTION}
ok     failed
"""


@pytest.fixture(autouse=True)
def _file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no Redis, and the platform is not asked."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    Path("runrelay.yaml").write_text(FILE + TESTS)


def test_each_says_whether_it_passed_and_what_was_not_as_expected(capsys: Captured) -> None:
    assert main(["test"]) == 1
    assert capsys.readouterr() == (FAILED, "2 of 3 passed\n")


def test_only_some_may_be_run(capsys: Captured) -> None:
    assert main(["test", "failed", "zero is nothing"]) == 0
    assert capsys.readouterr() == ("ok     zero is nothing\nok     failed\n", "2 of 2 passed\n")


def test_scripts_get_an_object_for_each(capsys: Captured) -> None:
    assert main(["test", "--json"]) == 1
    said = capsys.readouterr()
    one, two, three = map(json.loads, said.out.splitlines())
    assert [one, three] == [{"test": name, "ok": True, "problems": []} for name in ("zero is nothing", "failed")]
    place = {"file": "runrelay.yaml", "line": 7, "column": 90, "path": "tests[1].expect.sent.disk[0].n"}
    assert two == {"test": "a wrong one", "ok": False, "problems": [{"message": OBJECTION, **place}]}


def test_a_name_that_no_test_has_is_a_mistake(capsys: Captured) -> None:
    assert main(["test", "a wrong on"]) == 1
    known = "'zero is nothing', 'a wrong one', 'failed'"
    said = f"runrelay: there is no test 'a wrong on': did you mean `a wrong one`? known are {known}\n"
    assert capsys.readouterr() == ("", said)


def test_a_file_without_tests_has_nothing_to_fail(capsys: Captured) -> None:
    Path("runrelay.yaml").write_text(FILE)
    assert main(["test"]) == 0
    assert capsys.readouterr() == ("", "the file has no `tests:`\n")


def test_a_mistake_in_the_file_is_told_before_anything_runs(capsys: Captured) -> None:
    Path("runrelay.yaml").write_text(FILE + TESTS.replace("{disk: [{n: 3}]}", "{dsk: [{n: 3}]}"))
    assert main(["test"]) == 78
    said = (
        "runrelay.yaml:7:84: tests[1].expect.sent.dsk: `all` has no target `dsk`: did you mean `disk`? known are disk\n"
    )
    assert capsys.readouterr() == ("", said)


def test_check_says_of_a_file_whose_tests_fail_that_it_cannot_be_used(capsys: Captured) -> None:
    assert main(["check"]) == 78
    said = f"runrelay.yaml:7:90: tests[1].expect.sent.disk[0].n: test 'a wrong one': {OBJECTION}\n"
    assert capsys.readouterr() == ("", said)
    Path("runrelay.yaml").write_text(FILE + TESTS.replace("n: 3", "n: 2"))
    assert main(["check"]) == 0
    assert capsys.readouterr().out == "runrelay.yaml: 1 source, 1 sink, 1 route, 3 tests: ok\n"
    assert main(["check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tests"] == 3
