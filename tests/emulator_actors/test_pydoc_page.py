"""The page parser, on real pages of a real documentation server."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from emulator.actors.pydoc_crawler.doc_server import doc_server
from emulator.actors.pydoc_crawler.pydoc_page import PydocPage

SAMPLE = '''
"""Weighs parcels & letters.

More about weighing.
"""

class Parcel:
    """A box."""

    def weigh(self):
        """In grams."""

class Letter(Parcel):
    pass

Note = Letter

def stamp(letter):
    """Puts a stamp on."""

def _hidden():
    pass
'''
GetPage = Callable[[str], Awaitable[bytes]]


@pytest.fixture
async def get_page(tmp_path: Path) -> AsyncIterator[GetPage]:
    """pydoc imports what lies in its folder, so the tests bring a module of their own."""
    (tmp_path / "sample.py").write_text(SAMPLE)
    (tmp_path / "silent.py").write_text("class Quiet:\n    '''Says nothing.'''\n")
    (tmp_path / "broken.py").write_text("raise OSError('no such <thing>')\n")
    async with doc_server(tmp_path) as url, aiohttp.ClientSession() as session:

        async def get(name: str) -> bytes:
            async with session.get(f"{url}{name}.html") as response:
                return await response.read()

        yield get


def parsed(html: bytes, *, piece: int = 65536) -> PydocPage:
    page = PydocPage()
    for start in range(0, len(html), piece):
        page.feed_bytes(html[start : start + piece])
    return page


def facts(page: PydocPage) -> dict[str, object]:
    names = ("error", "synopsis", "classes", "functions", "html_bytes", "is_complete", "links")
    return {name: getattr(page, name) for name in names}


async def test_a_modules_page_gives_its_first_line_classes_and_functions(get_page: GetPage) -> None:
    html = await get_page("sample")
    page = parsed(html)
    assert facts(page) == {
        "error": None,
        "synopsis": "Weighs parcels & letters.",
        "classes": ["Letter", "Note", "Parcel"],
        "functions": ["stamp"],
        "html_bytes": len(html),
        "is_complete": True,
        "links": page.links,
    }
    assert "sample.html#Parcel" in page.links
    assert "topics.html" not in page.links


async def test_a_page_cut_anywhere_gives_the_same_facts(get_page: GetPage) -> None:
    html = await get_page("textwrap")
    assert facts(parsed(html, piece=7)) == facts(parsed(html))
    assert parsed(html).classes == ["TextWrapper"]
    assert parsed(html).functions == ["dedent", "fill", "indent", "shorten", "wrap"]


async def test_a_module_without_docstring_has_an_empty_synopsis(get_page: GetPage) -> None:
    page = parsed(await get_page("silent"))
    assert (page.synopsis, page.classes) == ("", ["Quiet"])


async def test_a_module_that_does_not_exist_is_an_error(get_page: GetPage) -> None:
    assert parsed(await get_page("no_such_module")).error == "ValueError: could not find object"


async def test_a_module_that_cannot_be_imported_is_an_error_with_its_reason(get_page: GetPage) -> None:
    error = parsed(await get_page("broken")).error
    assert error is not None
    assert error.endswith("problem in broken - OSError: no such <thing>")


async def test_a_page_that_breaks_off_is_not_complete(get_page: GetPage) -> None:
    html = await get_page("sample")
    assert not parsed(html[: len(html) // 2]).is_complete
    assert not parsed(b"").is_complete


async def test_the_index_lists_what_can_be_imported(get_page: GetPage) -> None:
    listed = parsed(await get_page("index")).listed_modules
    assert {"sample", "silent", "broken", "textwrap", "json"} <= set(listed)
    assert set(sys.builtin_module_names) - {"__main__"} <= set(listed)
    assert len(listed) == len(set(listed))
    assert not {"index", "topics", "keywords"} & set(listed)
