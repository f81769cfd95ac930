"""Reading query parameters; whatever cannot be meant is a 400 that names the parameter."""

import math
from collections.abc import Collection, Mapping
from datetime import datetime

from emulator.errors import invalid_value
from emulator.stamps import moment_of

_MOST = 2**53 - 1  # the largest whole number that every JSON reader tells from its neighbours
_TRUE, _FALSE = {"true", "1"}, {"false", "0", ""}


class Query:
    """The query parameters of one request."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self._parameters = parameters

    def text(self, name: str) -> str | None:
        """The parameter as sent; None when absent or empty."""
        return self._parameters.get(name) or None

    def flag(self, name: str) -> bool | None:
        """`true` or `1`, `false` or `0`; None when absent."""
        text = self._parameters.get(name)
        if text is None:
            return None
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        raise invalid_value(f'Query parameter "{name}" must be true or false.')

    def number(self, name: str, minimum: float = 0.0) -> float | None:
        """A finite number of at least `minimum`; None when absent."""
        text = self.text(name)
        if text is None:
            return None
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number) or number < minimum:
            raise invalid_value(f'Query parameter "{name}" must be a number of at least {minimum:g}.')
        return number

    def integer(self, name: str, minimum: int = 0) -> int | None:
        """A whole number of at least `minimum` (`60` or `60.0`); None when absent."""
        number = self.number(name, minimum)
        if number is not None and not number.is_integer():
            raise invalid_value(f'Query parameter "{name}" must be a whole number.')
        if number is not None and number > _MOST:
            raise invalid_value(f'Query parameter "{name}" is too large.')
        return None if number is None else int(number)

    def words(self, name: str) -> list[str]:
        """A comma-separated list, empty when absent."""
        return [word.strip() for word in (self.text(name) or "").split(",") if word.strip()]

    def choices(self, name: str, allowed: Collection[str]) -> list[str]:
        """A comma-separated list of words that must all be in `allowed`."""
        words = self.words(name)
        if unknown := [word for word in words if word not in allowed]:
            raise invalid_value(
                f'Query parameter "{name}" does not know "{unknown[0][:50]}"; it takes {", ".join(sorted(allowed))}.'
            )
        return words

    def moment(self, name: str) -> datetime | None:
        """An ISO 8601 time; None when absent."""
        text = self.text(name)
        if text is None:
            return None
        try:
            return moment_of(text.replace(" ", "+"))
        except ValueError:
            raise invalid_value(f'Query parameter "{name}" must be an ISO 8601 time.') from None
