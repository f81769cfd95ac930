"""Faults written down: a list in YAML, or in JSON, which is YAML too. Mistakes are shown by line and column.

    faults:
      - match: GET /v2/datasets/*/items
        answer: {status: 503, body: <html>busy</html>}
        times: 2
      - event: ACTOR.RUN.SUCCEEDED
        duplicate: 1

`docs/reference/emulator-faults.md` has one example of each fault.
"""

import difflib
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import msgspec
import yaml

from emulator import distortions, scenarios
from emulator.errors import ApiError
from emulator.scenarios import Fault, HttpAction, WebhookAction
from emulator.settings import EmulatorError

_Count = Annotated[int, msgspec.Meta(ge=1)]
_Seconds = Annotated[float, msgspec.Meta(ge=0)]
_Status = Annotated[int, msgspec.Meta(ge=200, le=599)]


class FaultMistake(EmulatorError):
    """What was written cannot be meant; the message begins with the place."""


class _Answer(msgspec.Struct, forbid_unknown_fields=True):
    status: _Status
    body: str = ""
    headers: dict[str, str] = {}


class _Error(msgspec.Struct, forbid_unknown_fields=True):
    status: _Status
    type: str
    message: str = "This fault was asked for."


class _Slow(msgspec.Struct, forbid_unknown_fields=True):
    pause: _Seconds
    piece: _Count = 1024


class _Redirect(msgspec.Struct, forbid_unknown_fields=True):
    host: str | None = None


def _html_or_plain(given: _Answer) -> HttpAction:
    kind = "text/html" if given.body.lstrip().startswith("<") else "text/plain"
    return scenarios.Answer(given.status, given.body.encode(), {"Content-Type": kind, **given.headers})


_Yes = bool  # false is refused: to leave a fault out, leave it out
#: What the value of each fault must look like, and what it makes.
_HTTP: dict[str, tuple[Any, Callable[[Any], HttpAction]]] = {
    "answer": (_Answer, _html_or_plain),
    "error": (_Error, lambda it: distortions.Refuse(ApiError(it.status, it.type, it.message))),
    "rate_limit": (_Count, distortions.too_fast),
    "delay": (_Seconds, scenarios.Delay),
    "slow": (_Slow, lambda it: scenarios.Slow(it.pause, it.piece)),
    "truncate": (Annotated[int, msgspec.Meta(ge=0)], scenarios.Truncate),
    "empty_page": (_Yes, lambda _: distortions.EmptyPage()),
    "counts_behind": (_Count, distortions.CountsBehind),
    "redirect": (_Redirect | bool, lambda it: distortions.Redirect(None if it is True else it.host)),
    "revoke_token": (_Yes, lambda _: distortions.RevokeToken()),
    "replace": (dict[str, Any], scenarios.Replace),
}
_WEBHOOK: dict[str, tuple[Any, Callable[[Any], WebhookAction]]] = {
    "lose": (_Yes, lambda _: scenarios.Lose()),
    "duplicate": (_Count, scenarios.Duplicate),
    "delay": (_Seconds, scenarios.Delay),
    "out_of_order": (_Yes, lambda _: scenarios.Overtaken()),
    "replace": (dict[str, Any], scenarios.Replace),
}
_FRAME = ("match", "event", "times", "after")
_KNOWN = (*_FRAME, *dict.fromkeys([*_HTTP, *_WEBHOOK]))
_FIELDS = {
    "answer": _Answer.__struct_fields__,
    "error": _Error.__struct_fields__,
    "slow": _Slow.__struct_fields__,
    "redirect": _Redirect.__struct_fields__,
}
_UNKNOWN_FIELD = re.compile(r"unknown field `(.+?)`")


def read_faults(path: Path) -> list[Fault]:
    """The faults of a file. Raises: FaultMistake, for a file that cannot be read too."""
    try:
        return parse_faults(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise FaultMistake(f"{path}: the fault script cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise FaultMistake(f"{path}: the fault script cannot be read: {error}.") from error


def parse_faults(text: str, name: str) -> list[Fault]:
    """The faults of a text; `name` is what its mistakes are shown under. Raises: FaultMistake."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
        raise FaultMistake(f"{name}:{place}: {error.problem or 'this is not YAML'}.") from None
    except yaml.YAMLError as error:
        raise FaultMistake(f"{name}:1:1: this is not YAML: {error}") from None
    return [] if root is None else _Reader(name).faults(root)


@dataclass(frozen=True)
class _Reader:
    name: str

    def faults(self, root: yaml.Node) -> list[Fault]:
        members = self.members(root, ("faults",))
        _, entries = members.get("faults") or self.refuse(root, 'the script needs a list under "faults".')
        if not isinstance(entries, yaml.SequenceNode):
            self.refuse(entries, '"faults" must be a list.')
        return [self.fault(entry) for entry in entries.value]

    def fault(self, entry: yaml.Node) -> Fault:
        members = self.members(entry, _KNOWN)
        subjects, actions = ([name for name in members if (name in _FRAME) is is_frame] for is_frame in (True, False))
        subjects = [name for name in subjects if name in {"match", "event"}]
        if len(subjects) != 1:
            self.refuse(entry, 'a fault needs either "match" (a request) or "event" (a webhook).')
        kinds: dict[str, tuple[Any, Callable[[Any], Any]]] = _HTTP if subjects == ["match"] else dict(_WEBHOOK)
        if len(actions) != 1:
            self.refuse(entry, f"a fault needs exactly one of {', '.join(kinds)}.")
        action = actions[0]
        if action not in kinds:
            self.refuse(members[action][0], f'"{action}" does not go with "{subjects[0]}"; {", ".join(kinds)} do')
        pattern = self.value(members, subjects[0], str)
        shape, make = kinds[action]
        times = self.value(members, "times", _Count | Literal["always"], 1)
        return Fault(
            pattern if subjects == ["match"] else f"WEBHOOK {pattern}",
            make(self.value(members, action, shape)),
            math.inf if times == "always" else times,
            self.value(members, "after", Annotated[int, msgspec.Meta(ge=0)], 0),
        )

    def members(self, node: yaml.Node, known: Iterable[str]) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """The keys and values of a mapping that may have these keys only."""
        if not isinstance(node, yaml.MappingNode):
            self.refuse(node, f"this must be a mapping with {', '.join(known)}.")
        for key, _ in node.value:
            if key.value not in known:
                self.refuse(key, _unknown(str(key.value), known))
        return {key.value: (key, value) for key, value in node.value}

    def value(self, members: dict[str, tuple[yaml.Node, yaml.Node]], name: str, shape: Any, default: Any = None) -> Any:
        if name not in members:
            return default
        _, node = members[name]
        loader = yaml.SafeLoader("")
        try:
            given = msgspec.convert(loader.construct_document(node), shape)
        except msgspec.ValidationError as error:
            self.misfit(node, name, shape, str(error))
        except yaml.YAMLError as error:
            self.refuse(node, f'"{name}" cannot be read: {error}.')
        if given is False:
            self.refuse(node, f'"{name}" can only be true; leave it out instead.')
        return given

    def misfit(self, node: yaml.Node, name: str, shape: Any, problem: str) -> NoReturn:
        if isinstance(node, yaml.MappingNode) and (unknown := _UNKNOWN_FIELD.search(problem)):
            for key, _ in node.value:
                if key.value == unknown[1]:
                    self.refuse(key, _unknown(unknown[1], _FIELDS[name]))
        self.refuse(node, f'"{name}": {problem}.')

    def refuse(self, node: yaml.Node, problem: str) -> NoReturn:
        mark = node.start_mark
        raise FaultMistake(f"{self.name}:{mark.line + 1}:{mark.column + 1}: {problem}")


def _unknown(key: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(key, list(known), 1)
    advice = f'did you mean "{nearest[0]}"?' if nearest else f"there are {', '.join(known)}."
    return f'"{key[:50]}" is not known here; {advice}'
