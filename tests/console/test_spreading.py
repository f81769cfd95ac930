"""Options that are stated once and taken by many commands."""

import inspect
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer

from console.cli.spreading import spread


@dataclass(frozen=True)
class Parcel:
    name: str
    grams: int


def parcel(name: Annotated[str, typer.Argument()], grams: Annotated[int, typer.Option(min=1)] = 10) -> Parcel:
    return Parcel(name, grams)


@spread(parcel=parcel)
def addressed(parcel: Parcel, city: Annotated[str, typer.Option()] = "Brno") -> str:
    return f"{parcel.name} ({parcel.grams} g) to {city}"


def test_a_command_has_the_options_of_what_it_takes_in_their_place() -> None:
    assert list(inspect.signature(addressed).parameters) == ["name", "grams", "city"]
    app = typer.Typer()
    sent: list[str] = []

    @app.command()
    @spread(label=addressed)
    def send(fast: bool = False, *, label: str) -> None:
        sent.append(f"{label}{' today' if fast else ''}")

    assert app(["tea", "--grams", "3", "--fast"], standalone_mode=False) is None
    assert app(["salt", "--city", "Prague"], standalone_mode=False) is None
    assert sent == ["tea (3 g) to Brno today", "salt (10 g) to Prague"]


def test_what_the_maker_does_not_take_is_wrong_usage() -> None:
    app = typer.Typer()
    app.command()(addressed)
    with pytest.raises(typer.exceptions.TyperException):
        app(["tea", "--grams", "0"], standalone_mode=False)
