"""Written amounts."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from config.units import Duration, NotAnAmount, PerTime, Rate, Share, Size, octets, per_time, seconds, share


@pytest.mark.parametrize(
    ("parse", "text", "amount"),
    [
        (seconds, "10m", 600.0),
        (seconds, "250ms", 0.25),
        (seconds, "75h", 270_000.0),
        (seconds, "3d", 259_200.0),
        (seconds, "1.5 s", 1.5),
        (seconds, 0, 0.0),
        (seconds, "0", 0.0),
        (octets, "4MiB", 4_194_304),
        (octets, "10kB", 10_000),
        (octets, "1.5KiB", 1536),
        (octets, "0", 0),
        (per_time, "5/s", PerTime(5, 1.0)),
        (per_time, "1/15m", PerTime(1, 900.0)),
        (share, "50%", 0.5),
        (share, "0", 0.0),
        (share, "100%", 1.0),
    ],
)
def test_an_amount_is_read_with_its_unit(parse: Callable[[object], object], text: object, amount: object) -> None:
    assert parse(text) == amount


@pytest.mark.parametrize(
    ("parse", "kind"), [(seconds, "duration"), (octets, "size"), (per_time, "rate"), (share, "percentage")]
)
@pytest.mark.parametrize(
    "text",
    [
        10,
        1.5,
        True,
        False,
        None,
        "",
        "10",
        "m",
        "-1s",
        "1e3s",
        "10 minutes",
        "10M",
        "٣s",
        "1/0s",
        "0/s",
        "101%",
        "5s\n",
        [],
        "0.3B",
    ],
)
def test_what_is_no_such_amount_is_refused_without_repeating_it(
    parse: Callable[[object], object], kind: str, text: object
) -> None:
    with pytest.raises(NotAnAmount) as caught:
        parse(text)
    assert str(caught.value).startswith(f"not a {kind}: write ")


@given(st.text(max_size=20))
def test_any_text_is_an_amount_or_refused(text: str) -> None:
    for parse in (seconds, octets, per_time, share):
        try:
            parse(text)
        except NotAnAmount:
            continue


def test_models_of_plugins_use_the_units_as_types() -> None:
    class Options(BaseModel):
        wait: Duration = 1.0
        most: Size
        pace: Rate
        loss: Share

    options = Options.model_validate({"wait": "2s", "most": "1kB", "pace": "3/m", "loss": "5%"})
    assert options.model_dump() == {"wait": 2.0, "most": 1000, "pace": PerTime(3, 60.0), "loss": 0.05}
