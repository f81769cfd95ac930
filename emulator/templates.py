"""Payload and header templates of webhooks, by the rules of Apify's published template code.

A template is JSON with placeholders such as `{{resource.id}}`. A bare placeholder becomes the JSON text of its value;
one inside a string is left alone unless strings are interpolated.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

DEFAULT_PAYLOAD = (
    '{ "userId": {{userId}}, "createdAt": {{createdAt}}, "eventType": {{eventType}},'
    ' "eventData": {{eventData}}, "resource": {{resource}} }'
)
VARIABLES = frozenset({"userId", "createdAt", "eventType", "eventData", "resource", "globals"})

_PLACEHOLDER = re.compile(r"\{\{([^}]*)\}\}")


class TemplateError(ValueError):
    """The template does not give valid JSON, or names a variable that does not exist."""


class _Missing:
    """JavaScript's `undefined`: what a property that is not there is worth."""


_MISSING = _Missing()


def render(template: str, values: Mapping[str, Any], *, interpolate: bool = False) -> Any:
    """The template's JSON value with all placeholders filled in.

    Args:
        values: the variables by name; those of `VARIABLES` that are absent count as undefined.
        interpolate: also fill in placeholders inside string values (`shouldInterpolateStrings`).
    Raises: TemplateError.
    """
    parsed = _parse(template, values)
    if not interpolate:
        return parsed
    filled = _interpolate(parsed, values)
    return None if filled is _MISSING else filled


def _parse(template: str, values: Mapping[str, Any]) -> Any:
    while True:
        try:
            return msgspec.json.decode(template)
        except (msgspec.MsgspecError, RecursionError):
            placeholder = _next_bare(template)
        if placeholder is None:
            raise TemplateError("The template is not valid JSON.")
        value = _lookup(placeholder.group(1), values)
        text = "null" if _is_falsy(value) else msgspec.json.encode(value).decode()
        template = template[: placeholder.start()] + text + template[placeholder.end() :]


def _next_bare(template: str) -> re.Match[str] | None:
    """The first placeholder outside strings: one with an even number of unescaped quotes before it."""
    for match in _PLACEHOLDER.finditer(template):
        if len(re.findall(r'(?<!\\)"', template[: match.start()])) % 2 == 0:
            return match
    return None


def _is_falsy(value: Any) -> bool:
    return value is None or value is False or value == "" or value is _MISSING or (value == 0 and _is_number(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _lookup(path: str, values: Mapping[str, Any]) -> Any:
    name, *rest = path.split(".")
    if name not in VARIABLES:
        raise TemplateError(f'The template uses an invalid variable: "{name[:50]}".')
    value = values.get(name, _MISSING)
    for segment in rest:
        value = _step(value, segment)
    return value


def _step(value: Any, segment: str) -> Any:
    if isinstance(value, dict):
        return value.get(segment, _MISSING)
    if isinstance(value, list):
        is_index = segment.isdecimal() and int(segment) < len(value)
        return value[int(segment)] if is_index else _MISSING
    return None


def _interpolate(value: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        if whole := _PLACEHOLDER.fullmatch(value):
            return _lookup(whole.group(1), values)
        return _PLACEHOLDER.sub(lambda match: _text(_lookup(match.group(1), values)), value)
    if isinstance(value, list):
        filled = [_interpolate(element, values) for element in value]
        return [None if element is _MISSING else element for element in filled]
    if isinstance(value, dict):
        members = {key: _interpolate(member, values) for key, member in value.items()}
        return {key: member for key, member in members.items() if member is not _MISSING}
    return value


def _text(value: Any) -> str:
    """The value as JavaScript's `String()` writes it."""
    if value is _MISSING:
        return "undefined"
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "[object Object]"
    if isinstance(value, list):
        return ",".join("" if element is None else _text(element) for element in value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return msgspec.json.encode(value).decode()
