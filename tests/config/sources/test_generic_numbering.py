"""Whatever was read before, and whatever way a list goes on: rows by number are those of the list."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from hypothesis import given, settings
from hypothesis import strategies as st

from config.contracts.api import Answer
from config.sources.generic.numbering import MARKS, Numbered
from config.sources.generic.options import ItemsShape
from config.sources.generic.walking import Walk

BASE = "https://api.example.com/v1"
NOBODY: dict[str, str] = {}


class Platform:
    """An `Api` that gives a list in one way, at most `most` rows at once; only `get` is ever asked."""

    def __init__(self, way: str, rows: Sequence[int], most: int) -> None:
        self.way, self.rows, self.most = way, rows, most
        self.asked = 0

    async def get(self, path: str, params: Mapping[str, str | int] | None = None, *, most: int | None = None) -> Answer:
        self.asked += 1
        said = dict(params or {})
        count = min(int(said.get("limit", self.most)), self.most)
        begin = (int(said.get("page", 1)) - 1) * count if self.way == "page" else int(said.get("from", 0))
        rows = list(self.rows[begin : begin + count])
        onward = begin + len(rows) if begin + len(rows) < len(self.rows) else None
        headers, body = NOBODY, dict[str, Any](rows=rows)
        match self.way:
            case "cursor":
                body["next"] = onward
            case "next" if onward is not None:
                body["next"] = f"{BASE}/rows?from={onward}"
            case "link" if onward is not None:
                headers = {"link": f'</v1/rows?from={onward}>; rel="next"'}
        return Answer(200, headers, json.dumps(body).encode())


def numbered(way: str, size: int) -> Numbered:
    paging: dict[str, Any] = {"style": way, "size": size, "limit": "limit"}
    paging |= {"offset": {"offset": "from"}, "cursor": {"param": "from", "next": "next"}}.get(way, {})
    shape = ItemsShape.model_validate({"fetch": "/rows", "at": "rows", "paging": paging})
    path = urlsplit("/rows")
    return Numbered(Walk("items", shape, (path.path, dict(parse_qsl(path.query))), BASE))


@settings(max_examples=150, deadline=None)
@given(
    way=st.sampled_from(["offset", "page", "cursor", "link", "next"]),
    total=st.integers(0, 40),
    size=st.integers(1, 12),
    most=st.integers(1, 12),
    reads=st.lists(st.tuples(st.integers(0, 45), st.integers(1, 20)) | st.none(), max_size=8),
    later=st.integers(0, 10),
)
def test_any_stretch_in_any_order_is_that_of_the_list(
    way: str, total: int, size: int, most: int, reads: list[tuple[int, int] | None], later: int
) -> None:
    """None: it is counted. Between the reads more rows may come."""

    async def read() -> None:
        platform, found = Platform(way, range(total), most), numbered(way, size)
        api: Any = platform
        for one in reads:
            if one is None:
                assert (await found.count(api)).rows == len(platform.rows)
                platform.rows = range(len(platform.rows) + later)
                continue
            offset, limit = one
            page = await found.page(api, offset, limit, 10_000)
            expected = platform.rows[offset : offset + limit]
            assert page.lines == b"".join(b"%d\n" % n for n in expected)
            assert (page.count, page.scanned) == (len(expected), len(expected))

    asyncio.run(read())


def test_a_long_list_is_remembered_in_bounds() -> None:
    async def read() -> None:
        platform, found = Platform("cursor", range(3000), 5), numbered("cursor", 5)
        api: Any = platform
        for offset in range(0, 3000, 100):
            await found.page(api, offset, 100, 10_000)
        assert len(found._marks) <= MARKS
        asked = platform.asked
        assert asked <= 600 + 30
        assert (await found.page(api, 1503, 2, 100)).lines == b"1503\n1504\n"
        assert platform.asked - asked <= 10, "not from the beginning"

    asyncio.run(read())
