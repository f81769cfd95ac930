"""Records, log and run as named documents."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import msgspec
import pytest

from config.contracts.api import Api
from config.contracts.document import Document
from config.contracts.errors import NotYet, Permanent, Transient
from config.contracts.run import Run
from config.contracts.source import Key, Keys, Settle, Source
from tests.workers.fetch.datasets import FINISHED, LATER, NO_API
from workers.fetch import documents
from workers.fetch.documents import capped, counted_keys, keys, log_document, run_document, wanted

RUN = Run(
    id="r",
    source="s",
    status="SUCCEEDED",
    terminal=True,
    life="l",
    finished=FINISHED,
    account="a",
    stores={"default": "store"},
    fields={"id": "r", "big": 2**70},
)


@dataclass
class Store:
    """`keys` of a source: pages of three."""

    names: Sequence[str]
    at: float = LATER
    counts: dict[str | None, int] = field(default_factory=dict)
    circles: bool = False
    asked: list[str | None] = field(default_factory=list)
    settle: Settle = field(default_factory=Settle)

    async def keys(self, api: Api, run: Run, store: str, /, *, after: str | None) -> Keys:
        self.asked.append(after)
        rest = [name for name in self.names if after is None or name > after or self.circles]
        page = tuple(Key(store=store, key=name, size=1) for name in rest[:3])
        more = page[-1].key if len(rest) > 3 else None
        return Keys(keys=page, count=self.counts.get(after, len(page)), after=more, at=self.at)

    def ordinary(self, key: str, /) -> bool:
        return key != "INPUT"

    async def listed(self, run: Run = RUN, after: str | None = None) -> list[str]:
        return [key.key async for key in keys(cast(Source, self), NO_API, run, after)]

    async def counted(self, run: Run = RUN) -> int:
        return await counted_keys(cast(Source, self), NO_API, run)


async def test_every_key_comes_once_in_order() -> None:
    store = Store("abcdefg")
    assert await store.listed() == list("abcdefg")
    assert await store.counted() == 7
    assert store.asked == [None, "c", "f"] * 2


async def test_a_list_is_continued_behind_a_name() -> None:
    assert await Store("abcdefg").listed(after="e") == ["f", "g"]


async def test_a_run_without_a_store_has_no_keys() -> None:
    store, run = Store("abc"), msgspec.structs.replace(RUN, stores={})
    assert (await store.listed(run), await store.counted(run), store.asked) == ([], 0, [])


@pytest.mark.parametrize(("at", "wait"), [(FINISHED, 10.5), (FINISHED + 9, 1.5), (0.0, 0.0)])
async def test_a_list_made_too_early_is_not_used(at: float, wait: float) -> None:
    with pytest.raises(NotYet) as caught:
        await Store("abc", at=at).listed()
    assert (caught.value.reason, caught.value.wait) == ("not_settled", wait)


async def test_a_page_that_counts_other_keys_than_it_names_is_trouble_that_may_pass() -> None:
    store = Store("abcdefg", counts={"c": 4})
    with pytest.raises(Transient, match="counts 4 keys and names 3"):
        await store.listed()
    with pytest.raises(Transient):
        await store.counted()


async def test_a_list_that_leads_back_to_itself_is_trouble_that_may_pass() -> None:
    with pytest.raises(Transient, match="goes on where it began"):
        await Store("abcdefg", circles=True).listed()


def test_which_records_are_wanted() -> None:
    source = cast(Source, Store(""))
    names = ["INPUT", "OUTPUT", "SHOT-1"]

    def chosen(*patterns: str) -> list[str]:
        return [name for name in names if wanted(source, patterns, Key(store="s", key=name, size=None))]

    assert chosen("*") == ["OUTPUT", "SHOT-1"]
    assert chosen("*", "INPUT") == names
    assert chosen("SHOT-*") == ["SHOT-1"]


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def test_a_record_comes_in_pieces_up_to_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "RECORD_BYTES", 10)
    whole = capped(Document("SHOT", "image/png", 10, pieces(b"12345", b"67890")))
    assert [piece async for piece in whole.chunks] == [b"12345", b"67890"]
    endless = capped(Document("SHOT", "image/png", None, pieces(b"12345", b"67890", b"1")))
    with pytest.raises(Permanent, match="the record 'SHOT' is larger than 10 bytes") as caught:
        [piece async for piece in endless.chunks]
    assert caught.value.reason == "source_refused"


async def test_a_record_that_is_announced_too_large_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "RECORD_BYTES", 10)
    with pytest.raises(Permanent, match="the record 'SHOT' is larger than 10 bytes"):
        capped(Document("SHOT", "image/png", 11, pieces()))


async def test_the_run_and_its_log_are_documents() -> None:
    run, log = run_document(RUN), log_document(b"one\n")
    assert (run.key, run.content_type) == ("run.json", "application/json")
    body = b"".join([chunk async for chunk in run.chunks])
    assert (msgspec.json.decode(body), run.size) == ({"id": "r", "big": 2**70}, len(body))
    assert (log.key, log.content_type, log.size) == ("log.txt", "text/plain; charset=utf-8", 4)
    assert [chunk async for chunk in log.chunks] == [b"one\n"]
