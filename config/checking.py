"""Holds parts of a document against pydantic models, and says every mistake in the file's own words and places."""

import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from itertools import pairwise
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from config.contracts.errors import ConfigInvalid
from config.contracts.problem import Problem
from config.document import Document, KeyPath, descend, holds
from config.environment import Environment, fill
from config.language.filled import filled_in
from config.nearest import belongs, guess, nearest
from config.units import NotAnAmount, octets, seconds

M = TypeVar("M", bound=BaseModel)

_KINDS = {
    "string_type": "text",
    "url_type": "text",
    "path_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
}
_SHORTEST_SECRET = 6
_WRITTEN_OUT = (
    "this secret is written out, so it would be stored in Redis with each route: put it in the environment as ${NAME}"
)
_REFERENCE = re.compile(r"(?<!\$)\$\{[^{}]*\}")
_PASSWORD_IN_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#@:]*:(?P<password>[^/?#]+)@", re.IGNORECASE)


class Checker:
    """Collects what is wrong with one document. It never stops at the first mistake."""

    def __init__(self, document: Document, environment: Environment) -> None:
        self.document = document
        self.filled = fill(document.value, environment)
        self.problems = list(document.problems)
        self.warnings: list[Problem] = []
        self.secrets: set[str] = set()
        self.broken = {*document.broken, *self.filled.failed}
        self._tell_unfilled()

    def say(self, message: str, path: KeyPath, *, key: bool = False) -> None:
        """Add a mistake, unless its place cannot be told: something around it was found wrong as such."""
        if not any(path[:end] in self.broken for end in range(len(path) + 1)):
            self.problems.append(self.document.problem(self._unfilled(message, path), path, key=key))

    def warn(self, message: str, path: KeyPath) -> None:
        self.warnings.append(self.document.problem(message, path))

    def finish(self) -> None:
        """Raises ConfigInvalid with every mistake, in file order."""
        if self.problems:
            raise ConfigInvalid(sorted(self.problems, key=self.document.rank))

    def value(self, path: KeyPath) -> Any:
        """The filled value there; None if there is none."""
        return descend(self.filled.value, path)

    def block(self, path: KeyPath) -> dict[str, Any]:
        """The mapping there; empty if it is something else, which the shape around it complains about."""
        value = self.value(path)
        return value if isinstance(value, dict) else {}

    def blocks(self, path: KeyPath) -> list[KeyPath]:
        """The paths of the mappings in the mapping or list there; what else is in it, the shape complains about."""
        value = self.value(path)
        steps: Iterable[tuple[str | int, Any]] = ()
        if isinstance(value, dict | list):
            steps = value.items() if isinstance(value, dict) else enumerate(value)
        return [(*path, step) for step, below in steps if isinstance(below, dict)]

    def model(self, model: type[M], path: KeyPath, value: Any, siblings: Collection[str] = ()) -> M | None:
        """`value`, all or part of what stands at `path`, as an instance of `model`; None if it does not fit.

        `siblings` are keys that may stand beside it though the model does not know them.
        """
        try:
            with filled_in(self.filled.texts):
                instance = model.model_validate(value)
        except ValidationError as exc:
            errors = [_of_tag(error) for error in exc.errors(include_url=False, include_input=False)]
            unknown = {error["loc"] for error in errors if error["type"] == "extra_forbidden"}
            for where, said in self._innermost(path, errors).items():
                self._tell(model, where, said, siblings, unknown)
            return None
        self._note_secrets(instance)
        return instance

    def written_out(self, instance: BaseModel, path: KeyPath) -> list[KeyPath]:
        """Where below `path`, of which `instance` was made, a secret stands in the file itself, and no `${…}` for it.

        That is text of a secret option, and any URL with a password in it.
        """
        whole = {self._held((*path, *below)) for below, _ in _secrets_in(instance)} - self.filled.used.keys()
        return [at for at, text in _texts(self.document.at(path), path) if at in whole or _tells_password(text)]

    def warn_of_secrets(self, options: BaseModel, path: KeyPath) -> None:
        """Sinks and targets are part of the document that each delivery is planned with; sources are not."""
        for at in self.written_out(options, path):
            self.warn(_WRITTEN_OUT, at)

    def _held(self, path: KeyPath) -> KeyPath:
        """The longest part of `path` that the file has: a validator may have made several values of one."""
        return next(path[:end] for end in range(len(path), -1, -1) if self.document.at(path[:end]) is not None)

    def tell_blanks(self, path: KeyPath) -> None:
        """Add variables that are empty and leave a gap in a text below `path`: it would name something else."""
        for place, pairs in self.filled.used.items():
            if place[: len(path)] == path and descend(self.filled.value, place).strip():
                for reference in (reference for reference, value in pairs if not value and ":-" not in reference):
                    may_be = f"{reference[:-1]}:-}}"
                    self.say(f"`{reference}` is empty: set the variable, or write `{may_be}` if it may be", place)

    def _tell_unfilled(self) -> None:
        told = set()
        for path, failures in self.filled.failed.items():
            for failure in failures:
                if failure.what not in told:
                    self.problems.append(self.document.problem(str(failure), path))
                told.add(failure.what)

    def _innermost(self, base: KeyPath, errors: Iterable[ErrorDetails]) -> dict[KeyPath, list[ErrorDetails]]:
        """The errors by path, without those around another: they say why other members of a union fail."""
        placed: dict[KeyPath, list[ErrorDetails]] = {}
        for error in errors:
            placed.setdefault(self._resolved(base, error), []).append(error)
        around = {path[:end] for path in placed for end in range(len(path))}
        return {path: said for path, said in placed.items() if path not in around}

    def _resolved(self, base: KeyPath, error: ErrorDetails) -> KeyPath:
        """The path of an error: steps of its location that the file does not have are names of union members, and so
        are those whose next step stands beside them, not below."""
        path, loc = base, error["loc"]
        for part, following in pairwise((*loc, "")):
            here = self.document.at(path)
            if holds(here, part) and (not holds(here, following) or holds(here[part], following)):
                path = (*path, part)
        return (*path, loc[-1]) if error["type"] == "missing" else path

    def _tell(
        self,
        model: type[BaseModel],
        path: KeyPath,
        errors: list[ErrorDetails],
        siblings: Collection[str],
        unknown: Collection[KeyPath],
    ) -> None:
        """Say what is wrong at `path`; of several errors each is of one member of a union."""
        error, loc = errors[0], errors[0]["loc"]
        if error["type"] == "extra_forbidden":
            known = {*_keys(model, loc[:-1]), *(siblings if len(loc) == 1 else ())}
            self.say(_unknown_key(str(loc[-1]), known), path, key=True)
        elif error["type"] != "missing":
            self.say(self._wrong_value(errors, path) + _example(model, loc), path)
            if any(_KINDS.get(each["type"]) in {"a list", "a mapping"} for each in errors):
                self.broken.add(path)
        elif not nearest(str(loc[-1]), (str(other[-1]) for other in unknown if other[:-1] == loc[:-1])):
            if meant := self._meant(model, loc, path[:-1], siblings):
                message, path = f"there is no key `{meant}` here: did you mean `{loc[-1]}`?", (*path[:-1], meant)
            else:
                message = f"`{loc[-1]}` is required"
            self.say(message + _example(model, loc), path, key=True)

    def _meant(self, model: type[BaseModel], loc: KeyPath, path: KeyPath, siblings: Collection[str]) -> str | None:
        """A guess at which key beside it was meant to be the one that is missing."""
        beside = self.document.at(path)
        known = {*_keys(model, loc[:-1]), *siblings}
        return nearest(str(loc[-1]), set(beside) - known) if isinstance(beside, dict) else None

    def _wrong_value(self, errors: list[ErrorDetails], path: KeyPath) -> str:
        as_written = self.document.at(path)
        error = next((each for each in errors if not _wanted(each)), None)
        if error is None:
            return _not_one_of(as_written, errors)
        context = error.get("ctx", {})
        if isinstance(context.get("error"), NotAnAmount):
            return f"{_shown(as_written)} is {context['error']}"
        if error["type"] in {"too_short", "string_too_short"} and context["min_length"] == 1:
            return "must not be empty"
        if error["type"] == "string_too_long":
            return f"must have at most {context['max_length']} characters"
        return _said(error["msg"], as_written)

    def _unfilled(self, message: str, path: KeyPath) -> str:
        """A message may repeat what stands at `path`: put the references back for the values, which may be secret."""
        for place, pairs in self.filled.used.items():
            if place[: len(path)] == path:
                for reference, value in pairs:
                    message = _put_back(message, value, reference)
        return message

    def _note_secrets(self, instance: BaseModel) -> None:
        whole = {secret for _, secret in _secrets_in(instance)}
        parts = {value for pairs in self.filled.used.values() for _, value in pairs}
        found = whole | {part for part in parts if any(part in secret for secret in whole)}
        self.secrets |= {secret for secret in found if len(secret) >= _SHORTEST_SECRET}


def _of_tag(error: ErrorDetails) -> ErrorDetails:
    """An error about the key that says which member of a union is meant, as one of that key."""
    context = error.get("ctx", {})
    loc = (*error["loc"], str(context.get("discriminator")).strip("'"))
    match error["type"]:
        case "union_tag_not_found":
            return {**error, "type": "missing", "loc": loc}
        case "union_tag_invalid":
            return {**error, "type": "literal_error", "loc": loc, "ctx": {"expected": context["expected_tags"]}}
    return error


def _put_back(message: str, value: str, reference: str) -> str:
    """`reference` for `value`: wherever it occurs, or as a whole word only if it is so short that it may be chance."""
    if len(value) >= _SHORTEST_SECRET:
        return message.replace(value, reference)
    return re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", lambda _: reference, message) if value else message


def _unknown_key(key: str, known: Collection[str]) -> str:
    hint = belongs(key) or guess(key, known)
    return f"there is no key `{key}` here: {hint}known are {', '.join(sorted(known)) or 'none'}"


def _said(message: str, as_written: Any) -> str:
    """pydantic's words, or those of a validator, in our manner; a bound gets the unit the amount was written in."""
    words = message.removeprefix("Value error, ").replace("Input should be", "must be")
    words = words.replace("greater than or equal to", "at least").replace("less than or equal to", "at most")
    begun = words if words[:2].isupper() else words[:1].lower() + words[1:]
    return begun + (_unit(as_written) if words.startswith("must be") else "")


def _unit(as_written: Any) -> str:
    for amount, unit in ((seconds, " seconds"), (octets, " bytes")):
        with suppress(NotAnAmount):
            return unit if isinstance(as_written, str) and amount(as_written) is not None else ""
    return ""


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int | float):
        return f"the number {value}"
    return "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else "text"


def _shown(value: Any) -> str:
    return _kind(value) if isinstance(value, dict | list) else f"`{value}`"


def _words(error: ErrorDetails) -> list[str]:
    """The values that are allowed, if they are few."""
    expected = str(error.get("ctx", {}).get("expected", "")) if error["type"] == "literal_error" else ""
    return expected.replace("'", "").replace(" or ", ", ").split(", ") if expected else []


def _wanted(error: ErrorDetails) -> list[str]:
    """What could stand there, for an error that says nothing else."""
    kind = _KINDS.get(error["type"])
    return [kind] if kind else [word if word.isdigit() else f"`{word}`" for word in _words(error)]


def _not_one_of(as_written: Any, errors: list[ErrorDetails]) -> str:
    """The value is none of what the members of a union, or one type alone, could be."""
    wanted = list(dict.fromkeys(one for error in errors for one in _wanted(error)))
    words = [word for error in errors for word in _words(error)]
    must = " or ".join(filter(None, (", ".join(wanted[:-1]), wanted[-1])))
    if not words:
        quoted = " (in quotes it would be text)" if "text" in wanted and isinstance(as_written, int | float) else ""
        return f"must be {must}, not {_kind(as_written)}{quoted}"
    if as_written in words:
        return f"must be {must}, not text: leave the quotes out"
    return f"must be {must}, not {_shown(as_written)}; {guess(str(as_written), words)}".rstrip("; ")


def _keys(model: type[BaseModel], loc: KeyPath) -> list[str]:
    """The keys a model takes at a place inside it."""
    return [info.alias or name for found in _models(model, loc) for name, info in found.model_fields.items()]


def _example(model: type[BaseModel], loc: KeyPath) -> str:
    """The example of the innermost field on the way that has one."""
    found = ""
    for end in range(1, len(loc) + 1):
        for info in _fields(model, loc[:end]):
            found = str(info.examples[0]) if info.examples else found
    return f" · Example: `{found}`" if found else ""


def _models(model: type[BaseModel], loc: KeyPath) -> list[type[BaseModel]]:
    models = [model]
    for end in range(1, len(loc) + 1):
        if members := _members(models, loc[end - 1]):
            models = members
        elif infos := list(_fields(model, loc[:end])):
            models = [inner for info in infos for inner in _models_in(info.annotation)]
    return models


def _members(models: list[type[BaseModel]], tag: str | int) -> list[type[BaseModel]]:
    """Those of a union's members that are told from the others by this word."""
    tagged = [
        model for model in models if any(get_args(info.annotation) == (tag,) for info in model.model_fields.values())
    ]
    return tagged if len(models) > 1 else []


def _fields(model: type[BaseModel], loc: KeyPath) -> list[FieldInfo]:
    """The fields that the last step of `loc` names; a step that is an index or a union's member names none."""
    return [
        info
        for found in _models(model, loc[:-1])
        for name, info in found.model_fields.items()
        if (info.alias or name) == loc[-1]
    ]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models_in(inner)]


def _secrets_in(value: Any, path: KeyPath = ()) -> Iterable[tuple[KeyPath, str]]:
    """Each secret, with the keys and indexes that lead to it."""
    if isinstance(value, SecretStr):
        yield path, value.get_secret_value()
    elif isinstance(value, SecretBytes):
        yield path, value.get_secret_value().decode(errors="replace")
    else:
        for step, inner in _steps(value):
            yield from _secrets_in(inner, (*path, step))


def _steps(value: Any) -> Iterable[tuple[Any, Any]]:
    """What lies directly in a value, by the key or index it has in a file."""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        return [((fields[name].alias or name) if name in fields else name, inner) for name, inner in value]
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list | tuple | set | frozenset) else ()


def _texts(value: Any, path: KeyPath) -> Iterable[tuple[KeyPath, str]]:
    """Each text in a tree as written, in file order."""
    if isinstance(value, str):
        yield path, value
    else:
        for step, inner in _steps(value):
            yield from _texts(inner, (*path, step))


def _tells_password(text: str) -> bool:
    """Whether this is a URL whose password, as written, is a password and not a reference to one."""
    found = _PASSWORD_IN_URL.match(_REFERENCE.sub("\0", text))
    return found is not None and "\0" not in found["password"]
