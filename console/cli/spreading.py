"""Options that make one value together, stated once for all commands that take it."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

Command = TypeVar("Command", bound=Callable[..., Any])


def spread(**makers: Callable[..., Any]) -> Callable[[Command], Command]:
    """Give a command the options of a function in the place of one parameter, which then holds what the function made
    of them: with `@spread(wish=wish_of)` the parameter `wish` is written on the command line as those of `wish_of`."""

    def decorate(command: Command) -> Command:
        written = [
            each.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for name, own in inspect.signature(command).parameters.items()
            for each in (_options(makers[name]) if name in makers else [own])
        ]

        @wraps(command)
        def run(**given: Any) -> Any:
            made = {
                name: make(**{option.name: given.pop(option.name) for option in _options(make)})
                for name, make in makers.items()
            }
            return command(**given, **made)

        run.__signature__ = inspect.Signature(written)  # type: ignore[attr-defined]  # what `inspect` and typer look at
        return run  # type: ignore[return-value]  # called with options instead of the value they make

    return decorate


def _options(make: Callable[..., Any]) -> list[inspect.Parameter]:
    return list(inspect.signature(make).parameters.values())
