"""Items as anybody may store them, for property tests."""

from typing import Any

from hypothesis import strategies as st

#: Also what JavaScript writes: half of a surrogate pair.
TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["", "=1+1", "-5", "@x", "a,b", 'say "hi"', "a\r\nb", "\ud800", "'", "\x00", "_x0041_", " "]),
)
NUMBERS = st.one_of(
    st.integers(-10, 10),
    st.integers(-(1 << 70), 1 << 70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([1 << 53, (1 << 53) + 1, (1 << 63) - 1, 1 << 63, -(1 << 63), -0.0, 0.1, 1e300]),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=4,
)
#: Few names, so that values of several kinds meet in one column.
NAMES = st.one_of(st.sampled_from(["a", "b", "c"]), TEXTS, st.just("_more"))
OBJECTS = st.dictionaries(NAMES, st.one_of(VALUES, NUMBERS, st.booleans()), max_size=5)
ITEMS = st.lists(st.one_of(OBJECTS, OBJECTS, OBJECTS, VALUES), max_size=8)


def halved(text: str) -> bool:
    """Whether it has half of a surrogate pair."""
    return any("\ud800" <= letter <= "\udfff" for letter in text)


def has_column(name: str) -> bool:
    return name != "_more" and "\0" not in name and not halved(name) and len(name.encode()) <= 255
