"""A run is kept packed and read back whole, whoever packed it."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from config.contracts.run import Run
from tests.workers.ledger.books import LIFE, run
from workers.ledger.packing import pack, unpack

#: As this version packs it. What is kept today is read for months: never change these bytes.
KEPT = bytes.fromhex(
    "78f91a33c87083baa7c8902a116c60a86b0c8c60732b630b2b63233d337313f40836b33437b5303704cb214776a921727453"
    "10d7886826297a91a314391a91a3aeb61600870b59f6"
)
SMALL = Run(
    id="r1", source="apify", status="SUCCEEDED", terminal=True, life=LIFE, finished=1769758712.674, account="u1"
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), VALUES))
def test_whatever_a_platform_tells_comes_back(fields: dict[str, object]) -> None:
    one = msgspec.structs.replace(SMALL, fields=fields)
    assert unpack(pack(one)) == one


def test_a_number_too_large_for_a_machine_word_comes_back() -> None:
    assert unpack(pack(run())) == run()


def test_what_was_kept_before_is_read() -> None:
    assert unpack(KEPT) == SMALL
    assert unpack(msgspec.json.encode(SMALL)) == SMALL, "an earlier version packed nothing"


def test_it_is_a_fraction_of_its_json() -> None:
    assert len(pack(SMALL)) * 3 < len(msgspec.json.encode(SMALL))
