"""Guesses which word somebody meant."""

import difflib
from collections.abc import Iterable

#: words people bring along from other tools, and what they may mean; the first that is known
_SAME = {
    "on": ("when",),
    "if": ("when", "where"),
    "filter": ("when", "where"),
    "condition": ("when", "where"),
    "trigger": ("when",),
    "targets": ("to",),
    "destinations": ("to",),
    "outputs": ("to",),
    "actors": ("actor",),
    "tasks": ("task",),
    "statuses": ("status",),
    "datasets": ("dataset",),
    "record": ("records",),
    "log": ("log_tail",),
    "map": ("fields",),
    "select": ("fields",),
    "columns": ("fields",),
    "pick": ("fields",),
    "rename": ("fields",),
    "add": ("set",),
    "drop": ("omit",),
    "exclude": ("omit",),
    "remove": ("omit",),
    "diff": ("only",),
    "changes": ("only",),
    "then": ("else",),
    "assert": ("expect",),
    "expects": ("expect",),
    "retries": ("retry",),
    "destination": ("sink",),
    "secret": ("secrets",),
}
_ITEMS = "below `read:`, or at a target"
_ROUTE = "in the route, beside `read:`"
#: where keys stand that people write one level too high or too low
_PLACES = {
    **dict.fromkeys(("fields", "set", "omit", "only", "transform", "strict"), _ITEMS),
    **dict.fromkeys(("dataset", "records", "log_tail", "requests", "clean"), "below `read:`"),
    **dict.fromkeys(("expect", "freshness", "final", "after", "to"), _ROUTE),
    **dict.fromkeys(("status", "actor", "task", "origin"), "below `when:`"),
    "where": "beside `when:`, where it sees the run, or below `read:` and at a target, where it sees each item",
    "filled": "below `expect:`",
    "sinks": "at the top of the file",
}


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `word` was probably meant to be."""
    lowered = {known_word.lower(): known_word for known_word in known}
    if same := next((one for one in _SAME.get(word, ()) if one in lowered.values()), None):
        return same
    near = difflib.get_close_matches(word.lower(), lowered, n=1)
    return lowered[near[0]] if near else None


def guess(word: str, known: Iterable[str]) -> str:
    """A question to put before the list of what is known, with a blank behind it; empty if nothing is near."""
    near = nearest(word, known)
    return f"did you mean `{near}`? " if near else ""


def belongs(word: str) -> str:
    """Where a key stands that does not stand here, with a semicolon and a blank behind it; empty if nobody knows."""
    return f"it stands {_PLACES[word]}; " if word in _PLACES else ""
