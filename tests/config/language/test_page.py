"""The page about the language: every row of it is true."""

import json
import re

import pytest

from config.language.expression import Expression
from scripts.reference import LANGUAGE, language

PAGE = LANGUAGE.read_text()
_ITEM = re.compile(r"^```json\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ROW = re.compile(r"^\| `(.*?)` \| `(.*)` \|$", re.MULTILINE)
ROWS = [(source.replace("\\|", "|"), value) for source, value in _ROW.findall(PAGE)]


def test_its_tables_are_those_of_the_docstrings() -> None:
    assert language() == PAGE, "run: python scripts/reference.py"


def test_it_shows_some() -> None:
    assert len(ROWS) == 24


@pytest.mark.parametrize(("source", "value"), ROWS)
def test_an_expression_stands_for_what_the_page_says(source: str, value: str) -> None:
    (item,) = _ITEM.findall(PAGE)
    assert Expression(source).value({"item": json.loads(item)}) == Expression(value).value({})
