"""The crawl, over documentation servers that hang, die and misbehave because of what they import."""

import re
from pathlib import Path

import pytest

from emulator.actors.pydoc_crawler.crawl import Item, crawl
from emulator.actors.pydoc_crawler.doc_server import doc_server
from emulator.actors.pydoc_crawler.failures import PlatformFailed

PAGE_TIMEOUT = 3.0  # seconds; only the module that hangs waits for it
MODULES = {
    "aa_good": "'''First.'''",
    "bb_dies": "import os; os._exit(3)",
    "cc_hangs": "import time; time.sleep(3600)",
    "dd_exits": "raise SystemExit('bye')",
    "ee_talks": "'''Loud.'''\nprint('x' * 1_000_000, flush=True)",
    "ff_shows": "'''Shows.'''\nimport os\nENVIRONMENT = sorted(os.environ)",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, source in MODULES.items():
        (tmp_path / f"{name}.py").write_text(source)
    return tmp_path


async def crawled(names: list[str], folder: Path, *, servers: int) -> list[Item]:
    items: list[Item] = []

    async def take(item: Item) -> None:
        items.append(item)

    await crawl(names, servers=servers, folder=folder, page_timeout=PAGE_TIMEOUT, take=take)
    return items


async def test_a_server_that_dies_or_hangs_costs_one_item_each(folder: Path) -> None:
    items = await crawled([*MODULES], folder, servers=1)

    assert [item["name"] for item in items] == [*MODULES]
    assert [item.get("synopsis") for item in items] == ["First.", None, None, None, "Loud.", "Shows."]
    assert [item.get("error") for item in items] == [
        None,
        "the page broke off after 0 bytes (status 200)",
        "no whole page within 3 s",
        "ErrorDuringImport: problem in dd_exits - SystemExit: bye",
        None,
        None,
    ]
    servers = [re.sub(r"[a-z_]+\.html$", "", item["url"]) for item in items]
    assert servers[0] == servers[1] != servers[2] != servers[3] == servers[4] == servers[5]


@pytest.mark.parametrize("servers", [1, 2, 8])
async def test_any_number_of_servers_gives_every_name_once(folder: Path, servers: int) -> None:
    names = ["aa_good", "ee_talks", "ff_shows", "textwrap", "no_such_module"]
    items = await crawled(names, folder, servers=servers)
    assert sorted(item["name"] for item in items) == sorted(names)
    assert [item["name"] for item in items if "error" in item] == ["no_such_module"]


async def test_two_crawls_differ_in_the_port_only(folder: Path) -> None:
    names = ["textwrap", "bisect", "decimal", "_decimal", "enum", "fractions"]
    first, second = [
        sorted(({**item, "url": ""} for item in await crawled(names, folder, servers=2)), key=str) for _ in range(2)
    ]
    assert first == second


async def test_what_documented_modules_see_holds_no_secret(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import aiohttp

    monkeypatch.setenv("APIFY_TOKEN", "canary-token")
    async with doc_server(folder) as url, aiohttp.ClientSession() as session:
        pages = [await (await session.get(f"{url}{name}.html")).text() for name in ("os", "ff_shows")]
    assert [("canary-token" in page, "APIFY_TOKEN" in page, "BROWSER" in page) for page in pages] == [
        (False, False, True),
        (False, False, True),
    ]


async def test_a_failure_while_handing_over_ends_the_crawl_with_itself(folder: Path) -> None:
    async def refuse(item: Item) -> None:
        raise PlatformFailed("no room")

    with pytest.raises(PlatformFailed, match="no room"):
        await crawl(["aa_good", "textwrap"], servers=2, folder=folder, page_timeout=PAGE_TIMEOUT, take=refuse)
