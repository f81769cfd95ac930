"""`bad_items` may stand in four places, and the nearest wins."""

from pathlib import Path

import pytest

from tests.config.loading import HEAD, table


@pytest.mark.parametrize(
    ("defaults", "sink", "route", "target", "said"),
    [
        ("", "", "", "", "reject"),
        ("fail", "", "", "", "fail"),
        ("fail", "reject", "", "", "reject"),
        ("reject", "reject", "fail", "", "fail"),
        ("fail", "fail", "fail", "reject", "reject"),
    ],
)
def test_the_nearest_place_that_says_it_wins(
    tmp_path: Path, defaults: str, sink: str, route: str, target: str, said: str
) -> None:
    def key(value: str) -> str:
        return f", bad_items: {value}" if value else ""

    text = HEAD.replace("{type: tests.config.plugins.rows}", f"{{type: tests.config.plugins.rows{key(sink)}}}")
    text += f"defaults: {{retry: {{for: 75h}}{key(defaults)}}}\n"
    text += f"routes: [{{name: all{key(route)}, to: [{{sink: rows{key(target)}}}]}}]\n"
    (found,) = table(tmp_path, text).routes[0].to
    assert found.bad_items == said
