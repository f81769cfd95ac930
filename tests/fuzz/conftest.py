"""Everything here is tried `FUZZ_EXAMPLES` times, and says afterwards how often that was."""

import os
import re
from collections.abc import Generator
from datetime import timedelta

import hypothesis
import pytest

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "20000"))
#: An example that takes longer has run away.
LONGEST = timedelta(seconds=5)
_PASSED = re.compile(r"- (\d+) passing, ")

hypothesis.settings.register_profile(
    "fuzz",
    max_examples=EXAMPLES,
    deadline=LONGEST,
    suppress_health_check=list(hypothesis.HealthCheck),
    print_blob=True,
)
hypothesis.settings.load_profile("fuzz")

_tried: dict[str, int] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.when == "call":
        said = _PASSED.findall(getattr(item, "hypothesis_statistics", ""))
        counted = [count for name, count in item.user_properties if name == "examples"]
        _tried[item.nodeid] = _tried.get(item.nodeid, 0) + sum(map(int, counted or said))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section("examples")
    for name, count in sorted(_tried.items()):
        terminalreporter.write_line(f"{count:>9,}  {name}")
    terminalreporter.write_line(f"{sum(_tried.values()):>9,}  in all")
