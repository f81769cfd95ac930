"""Filters and tests of the language: the examples of their docstrings, and what holds whatever they are given."""

import inspect
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.language.conditions import CONDITIONS
from config.language.expression import Clash, Expression
from config.language.figures import _looked_for, figure
from config.language.filters import FILTERS
from config.language.operators import MOST, Misfit
from tests.config.language.test_any_expression import VALUES, is_json, size

EXAMPLE = re.compile(r"`([^`]+)` → `([^`]+)`")
EXAMPLES = [
    pytest.param(source, result, id=f"{name}: {source}")
    for functions in (FILTERS, CONDITIONS)
    for name, function in functions.items()
    for source, result in EXAMPLE.findall(function.__doc__ or "")
]


def tried(times: int) -> settings:
    """So often; where all properties are tried more often than that, as often as all of them."""
    usual = settings.default.max_examples if settings.default else 0
    return settings(max_examples=usual if usual > 100 else times)


def takes(function: Callable[..., Any]) -> list[int]:
    """How many arguments: as few as possible, and one more if it takes one."""
    wanted = [one for one in inspect.signature(function).parameters.values() if one.kind is not one.KEYWORD_ONLY][1:]
    return sorted({sum(one.default is one.empty for one in wanted), min(1, len(wanted))})


#: Every filter and every test, with and without an argument.
USES = {
    f"{how} {name}{'(run)' * count}": Expression(f"item {how} {name}{'(run)' * count}")
    for how, functions in (("|", FILTERS), ("is", CONDITIONS))
    for name, function in functions.items()
    for count in takes(function)
}


@pytest.mark.parametrize(("source", "result"), EXAMPLES)
def test_the_examples_are_true(source: str, result: str) -> None:
    expected = Expression(result).value({})
    value = Expression(source).value({})
    assert (value, type(value)) == (expected, type(expected))


def test_the_filters_are_these_and_each_has_two_examples() -> None:
    assert " ".join(sorted(FILTERS)) == (
        "code date default domain duration first hmac int join json last length lower map mask number round sha256 "
        "slug split string trim upper usd"
    )
    assert [name for name, found in FILTERS.items() if len(EXAMPLE.findall(found.__doc__ or "")) < 2] == []


def test_the_tests_are_these_and_each_says_what_it_asks() -> None:
    assert " ".join(sorted(CONDITIONS)) == (
        "boolean defined endswith false in mapping matching none number sequence startswith string true undefined"
    )
    assert all(found.__doc__ for found in CONDITIONS.values())


def used(function: Callable[..., Any], *given: Any) -> Any:
    """What comes out; a Clash if they do not fit."""
    try:
        return function(*given)
    except Misfit as exc:
        return Clash(str(exc))


@tried(400)
@given(use=st.sampled_from(sorted(USES)), value=VALUES, argument=VALUES)
def test_data_comes_out_of_every_filter_and_test_or_it_says_what_does_not_fit(
    use: str, value: Any, argument: Any
) -> None:
    (made,) = USES[use].each([value], {"run": argument})
    if isinstance(made, Clash):
        assert re.fullmatch(r"[^\n]{1,100}", made.why)
        assert not isinstance(value, str) or len(value) < 12 or value not in made.why
        return
    assert is_json(made)
    assert size(made) <= MOST + 6 * (size(value) + size(argument))
    assert made in (True, False, None) or use.startswith("|")


@tried(100)
@given(use=st.sampled_from([use for use in sorted(USES) if "default" not in use]), argument=VALUES)
def test_null_stays_null_and_is_nothing_else(use: str, argument: Any) -> None:
    (made,) = USES[use].each([None], {"run": argument})
    if use in ("is none", "is undefined"):
        assert made is True
    elif use.startswith("|"):
        assert made is None
    else:
        assert made in (False, None) or (use == "is in(run)" and (made is True or isinstance(made, Clash)))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,23,456.00", 123456.0),
        ("1.299.000", 1299000.0),
        ("1'299.50 CHF", 1299.5),
        ("1\u00a0299,50 €", 1299.5),
        ("1 299 kr", 1299.0),
        ("ab 1.299,00 EUR", 1299.0),
        ("1.299", 1.299),
        ("1,299", 1299.0),
        ("0,125 l", 0.125),
        ("1234,567", 1234.567),
        ("12,5 %", 12.5),
        ("-5 €", -5.0),
        ("−5", -5.0),
        ("-$5.50", -5.5),
        ("$-5", -5.0),
        ("from -5", -5.0),
        ("a - 5", 5.0),
        ("SKU-5", 5.0),
        ("5,-", 5.0),
        ("$.50", 0.5),
        ("1e5", 100000.0),
        ("-1.5E-3", -0.0015),
        ("٣", 3.0),
        ("no price", None),
        ("nan", None),
        ("²", None),
    ],
)
def test_a_number_is_read_as_people_write_it(text: str, number: float | None) -> None:
    assert figure(text) == number


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("3 for 10 €", "`number` found several numbers in a text"),
        ("10-20 €", "`number` found several numbers in a text"),
        ("1_000", "`number` found several numbers in a text"),
        ("192.168.1.1", "`number` found digits that are grouped in no known way"),
        ("12.05.2024", "`number` found digits that are grouped in no known way"),
        ("1.299.00", "`number` found digits that are grouped in no known way"),
        ("+49 30 1234", "`number` found digits that are grouped in no known way"),
        ("1e999", "`number` found a number that is too large"),
        ("9" * 201, "`number` reads texts of 200 characters at most"),
    ],
)
def test_what_could_be_read_in_two_ways_is_not_read(text: str, why: str) -> None:
    with pytest.raises(Misfit, match=f"^{re.escape(why)}$"):
        figure(text)


WHOLE, CENTS = st.integers(0, 10**9), st.integers(0, 99)
AROUND = st.sampled_from(["{}", "{} €", "€ {}", "EUR {}", "${}", "ca. {} kr", "Price:\u00a0{}\u00a0USD", "({})"])
MARKS = st.sampled_from([(",", "."), (".", ","), (" ", ","), ("'", "."), ("\u202f", ","), ("", "."), ("", ",")])


@tried(100)
@given(WHOLE, CENTS, st.booleans(), AROUND, MARKS)
def test_an_amount_is_read_however_it_is_written(
    whole: int, cents: int, negative: bool, around: str, marks: tuple[str, str]
) -> None:
    groups, decimal = marks
    sign = "-" if negative and around == "{}" else ""
    text = around.format(sign + f"{whole:,}".replace(",", groups) + f"{decimal}{cents:02}")
    assert figure(text) == float(f"{sign}{whole}.{cents:02}")
    assert figure(text, decimal) == float(f"{sign}{whole}.{cents:02}")


DIGITS = st.text(alphabet="0123456789.,'- €x", max_size=12).map(str.strip)
GROUPS = (
    st.lists(st.sampled_from(["1", "22", "333", "333", ".", ",", ",", " ", "€"]), max_size=8)
    .map("".join)
    .map(str.strip)
)


@tried(150)
@given(DIGITS | GROUPS)
def test_what_is_usual_is_read_as_if_it_were_not(text: str) -> None:
    assert used(figure, text) == used(_looked_for, text, None)


@tried(100)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_that_a_program_wrote_is_read_again(number: float) -> None:
    assert FILTERS["number"](repr(number)) == number


@given(st.text())
def test_a_slug_is_always_safe_in_a_path(text: str) -> None:
    slug = FILTERS["slug"](text)
    assert slug.strip("abcdefghijklmnopqrstuvwxyz0123456789-") == ""
    assert bool(slug) == bool(text)


@tried(50)
@given(st.from_regex(r"(www\.)?[a-z0-9-]{1,9}(\.[a-z0-9-]{1,9}){1,3}", fullmatch=True), st.text("ab/?#@:1", max_size=9))
def test_a_domain_is_a_host_and_nothing_else(host: str, rest: str) -> None:
    bare = host.removeprefix("www.")
    assert FILTERS["domain"](f"https://{host.upper()}:8080/{rest}") == bare
    assert FILTERS["domain"](bare) == bare


@tried(50)
@given(st.text(max_size=30))
def test_a_mask_hides_all_but_two_characters(text: str) -> None:
    masked = FILTERS["mask"](text)
    bare = text.strip()
    assert masked == (f"{bare[0]}****{bare[-1]}" if len(bare) > 4 else "****")


@tried(50)
@given(st.text(), st.text(), st.text(min_size=1), st.text(min_size=1))
def test_digests_are_equal_exactly_where_texts_and_keys_are(one: str, other: str, key: str, another: str) -> None:
    sha256, hmac = FILTERS["sha256"], FILTERS["hmac"]
    assert re.fullmatch("[0-9a-f]{64}", sha256(one))
    assert (sha256(one) == sha256(other)) == (one == other)
    assert (hmac(one, key) == hmac(other, key)) == (one == other)
    assert (hmac(one, key) == hmac(one, another)) == (key.rstrip("\0") == another.rstrip("\0"))


@tried(50)
@given(st.datetimes(datetime.fromisoformat("1000-01-01"), datetime.fromisoformat("9000-01-01")), st.integers(-14, 14))
def test_a_date_is_the_day_in_utc(moment: datetime, hours: int) -> None:
    there = moment.replace(tzinfo=timezone(timedelta(hours=hours)))
    assert FILTERS["date"](there.isoformat()) == there.astimezone(UTC).date().isoformat()


@tried(50)
@given(st.lists(st.text("abc ", min_size=1).map(str.strip).filter(bool), max_size=5))
def test_what_is_joined_can_be_split_again(parts: list[str]) -> None:
    assert FILTERS["split"](FILTERS["join"](parts, ", ")) == parts


@tried(50)
@given(st.decimals(-(10**9), 10**9, places=4), st.integers(0, 3))
def test_a_rounded_number_is_the_nearest(number: Any, digits: int) -> None:
    rounded = FILTERS["round"](float(number), digits)
    assert abs(rounded - float(number)) <= 0.5 * 10**-digits + 1e-6
    assert isinstance(rounded, float if digits else int)


@tried(50)
@given(st.floats(0, 1e9))
def test_a_duration_and_an_amount_are_short(number: float) -> None:
    assert re.fullmatch(r"(\d+(\.\d)?[dhms])( \d+[hms])?", FILTERS["duration"](number))
    assert re.fullmatch(r"\$[\d,]+\.\d{2,12}", FILTERS["usd"](number))


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("'2026-01-01' | date(item)", "`date` needs a form of at most 100 characters"),
        ("'2026-01-01' | date(5)", "`date` needs a form of at most 100 characters"),
        ("'0001-01-01T00:00:00+14:00' | date", "`date` needs an ISO 8601 timestamp"),
        ("5 | date", "`date` of number"),
        ("'not a host' | domain", "`domain` needs a URL or a host"),
        ("'https://[' | domain", "`domain` needs a URL or a host"),
        ("'x' | hmac('')", "`hmac` needs a text as its key"),
        ("item | split(',')", "`split` makes 10,000 parts at most"),
        ("'a' | split('')", "`split` needs two texts, not text and text"),
        ("'a' | join", "`join` needs a list and a text, not text and text"),
        ("'a' | map('b')", "`map` needs a list and a key, not text and text"),
        (f"[1] | map('{'a.' * 50}')", "`map` goes 50 keys deep at most"),
        ("'a' | number(';')", "`number` knows the decimal marks '.' and ','"),
        ("true | number", "`number` of boolean"),
        ("'5' | round", "`round` needs a number and at most 15 digits, not text"),
        ("5 | length", "`length` of number"),
        ("5 | first", "`first` of number"),
        ("'x' | usd", "`usd` needs a number"),
        ("true | duration", "`duration` needs seconds"),
    ],
)
def test_what_a_filter_cannot_take_it_says(source: str, why: str) -> None:
    assert Expression(source).each(["a," * 10_001], {}) == [Clash(why)]


PIECES = st.lists(st.sampled_from(["a", "b", "ab", "*"]), max_size=6).map("".join)


@tried(100)
@given(st.text("ab", max_size=8), PIECES)
def test_a_pattern_fits_what_a_regular_expression_would(text: str, pattern: str) -> None:
    expected = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text) is not None
    assert CONDITIONS["matching"](text, pattern) is expected


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    assert CONDITIONS["matching"]("a" * 60_000, "*a" * 20_000 + "*b") is False
