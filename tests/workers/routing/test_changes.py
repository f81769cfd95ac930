"""What is remembered of keys and values, and what is told of them."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.contracts.sink import Batch, Rejected
from config.route import CHANGES, Change
from workers.routing import changes
from workers.routing.changes import (
    IN_DOUBT,
    KNOWN_IN_DOUBT,
    LONGEST_NAME,
    NEW_IN_DOUBT,
    NOWHERE,
    Compared,
    Entry,
    Known,
    bucket_of,
    compare,
    keyed,
    packed,
    removed,
    unpacked,
)

VALUES = st.binary(min_size=8, max_size=8)
ROWS = st.integers(0, NOWHERE)
RESTS = st.binary(min_size=6, max_size=6)
PLAIN = st.dictionaries(RESTS, st.builds(Entry, VALUES, ROWS, st.just(b"")), max_size=20)
NAMED = st.dictionaries(RESTS, st.builds(Entry, VALUES, ROWS, st.binary(max_size=300)), max_size=20)


@given(PLAIN)
def test_a_bucket_comes_back_as_it_was(bucket: dict[bytes, Entry]) -> None:
    text = packed(bucket, named=False)
    assert unpacked(text) == bucket
    assert len(text) == 1 + 18 * len(bucket)


@given(NAMED)
def test_a_bucket_with_names_comes_back_as_it_was(bucket: dict[bytes, Entry]) -> None:
    text = packed(bucket, named=True)
    assert unpacked(text) == bucket
    assert packed(dict(reversed(bucket.items())), named=True) == text, "whatever the order"
    assert list(unpacked(text)) == sorted(bucket)
    assert unpacked(packed(bucket, named=False)) == {rest: one._replace(name=b"") for rest, one in bucket.items()}


def test_what_is_not_there_is_empty() -> None:
    assert unpacked(None) == {}


def batch(*lines: str, offset: int = 0) -> Batch:
    return Batch(0, offset, "".join(f"{line}\n" for line in lines).encode(), len(lines))


def key_of(line: str, *fields: str) -> bytes:
    (one,), _ = keyed(batch(line), fields or ("id",), named=True)
    return one.key


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ('{"id":"a"}', '{"id":"a","x":1}', True),
        ('{"id":"a"}', '{"id":"\\u0061"}', True),
        ('{"id":{"x":1,"y":2}}', '{"id":{"y":2,"x":1}}', True),
        ('{"id":1}', '{"id":"1"}', False),
        ('{"id":false}', '{"id":0}', False),
        ('{"id":"\\ud800"}', '{"id":"\\ud801"}', False),
        ('{"id":12345678901234567890123}', '{"id":12345678901234567890124}', False),
    ],
)
def test_two_items_have_one_key_if_its_fields_are_the_same(one: str, other: str, same: bool) -> None:
    assert (key_of(one) == key_of(other)) is same


def test_a_key_of_several_fields_is_not_their_text() -> None:
    assert key_of('{"a":"x","b":"yz"}', "a", "b") != key_of('{"a":"xy","b":"z"}', "a", "b")


def test_hashes_stay_what_they_are() -> None:
    """They lie in Redis for as long as the route lives: another way to hash would send everything once more."""
    (one,), _ = keyed(batch('{"url":"https://example.com/1","n":1.50}'), ("url",), named=True)
    assert one.key.hex() == "eb14d4958a37d260"
    assert one.entry.value.hex() == "ad40f9ff8f1fe0de"
    assert one.entry.name == b'["https://example.com/1"]'


def test_items_that_cannot_be_compared_say_why() -> None:
    lines = ['{"id":null}', '{"id":""}', '{"id":[]}', '{"id":{}}', '{"x":1}', "[1]", "null", '{"id":0}', '{"id":false}']
    found, rejected = keyed(batch(*lines, '{"id":"' + "k" * LONGEST_NAME + '"}', offset=10), ("id",), named=True)
    assert [one.row for one in found] == [17, 18]
    no_key, no_object = "has no `id` to compare by", "is no object, so it has nothing to compare by"
    assert rejected == [
        *(Rejected(row, no_key) for row in range(10, 15)),
        Rejected(15, no_object),
        Rejected(16, no_object),
        Rejected(19, "its key has 4,100 bytes, more than 4,096"),
    ]
    assert keyed(batch('{"id":' + "[" * 5000 + "]" * 5000 + "}"), ("id",), named=False)[1] == [
        Rejected(0, "cannot be read, so it cannot be compared")
    ]


def test_a_long_key_is_no_trouble_where_nobody_asks_for_its_name() -> None:
    found, rejected = keyed(batch('{"id":"' + "k" * LONGEST_NAME + '"}'), ("id",), named=False)
    assert (len(found), rejected, found[0].entry.name) == (1, [], b"")


def test_a_value_that_looks_like_doubt_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    digests = iter([b"keykeyke", NEW_IN_DOUBT, KNOWN_IN_DOUBT, b"valuevalu"[:8]])
    known = dict[bytes, bytes]()

    def hashed(text: bytes) -> bytes:
        known[text] = known.get(text) or next(digests)
        return known[text]

    monkeypatch.setattr(changes, "_hash", hashed)
    (one,), _ = keyed(batch('{"id":"a"}'), ("id",), named=False)
    assert one.entry.value not in IN_DOUBT


def told(
    line: str, last: Entry | None = None, done: Entry | None = None, wanted: Iterable[Change] = CHANGES
) -> tuple[bytes, Compared]:
    """What is sent for one item, of which this is remembered."""
    one = batch(line, offset=5)
    items, _ = keyed(one, ("id",), named=False)
    key = items[0].key
    compared = compare(one, items, _known(key, last), _known(key, done), tuple(wanted))
    return compared.batch.lines, compared


def _known(key: bytes, entry: Entry | None) -> Known:
    known = Known()
    known.buckets[bucket_of(key)] = {} if entry is None else {key[2:]: entry}
    return known


LINE = '{"id":"a"}'
VALUE = keyed(batch(LINE), ("id",), named=False)[0][0].entry.value
OTHER = Entry(b"8 bytes.")


@pytest.mark.parametrize(
    ("last", "done", "sent", "doubt"),
    [
        (None, None, "new", NEW_IN_DOUBT),
        (OTHER, None, "changed", KNOWN_IN_DOUBT),
        (Entry(VALUE), None, "", None),
        (Entry(NEW_IN_DOUBT), None, "new", None),
        (Entry(KNOWN_IN_DOUBT), None, "changed", None),
        (None, OTHER, "", None),
        (None, Entry(KNOWN_IN_DOUBT), "new", NEW_IN_DOUBT),
    ],
)
def test_what_an_item_is_follows_from_what_is_remembered(
    last: Entry | None, done: Entry | None, sent: str, doubt: bytes | None
) -> None:
    lines, compared = told(LINE, last, done)
    assert lines.decode() == (f'{{"id":"a","_change":"{sent}"}}\n' if sent else "")
    assert [entry.value for entry in compared.doubts.values()] == ([doubt] if doubt else [])
    assert compared.batch.numbers == ((5,) if sent else ())


def test_what_is_not_wanted_is_remembered_and_never_in_doubt() -> None:
    lines, compared = told(LINE, wanted=["changed"])
    assert (lines, compared.doubts) == (b"", {})
    assert compared.notes[5].entry == Entry(VALUE, 5)


def test_what_was_refused_stays_in_doubt() -> None:
    for last, doubt in ((None, NEW_IN_DOUBT), (OTHER, KNOWN_IN_DOUBT), (Entry(NEW_IN_DOUBT), NEW_IN_DOUBT)):
        note = told(LINE, last)[1].notes[5]
        assert note.refused().entry == Entry(doubt, 5)


def test_a_key_that_is_gone_is_told_with_its_fields() -> None:
    assert removed(b'["a",{"x":1}]', ("url", "sku")) == b'{"url":"a","sku":{"x":1},"_change":"removed"}\n'


@given(st.lists(st.sampled_from("abc"), max_size=6))
def test_of_items_with_one_key_the_first_is_told(ids: list[str]) -> None:
    one = batch(*(f'{{"id":"{id}","n":{n}}}' for n, id in enumerate(ids)))
    items, _ = keyed(one, ("id",), named=False)
    last, done = Known(), Known()
    for each in items:
        last.buckets[bucket_of(each.key)] = done.buckets[bucket_of(each.key)] = {}
    compared = compare(one, items, last, done, CHANGES)
    firsts = tuple(sorted({ids.index(id) for id in ids}))
    assert compared.batch.numbers == firsts
    assert tuple(compared.notes) == firsts
    assert all(a < b for a, b in pairwise(compared.batch.numbers))
