"""Guesses which word somebody meant."""

import difflib
from collections.abc import Iterable

#: words people bring along from other tools
_SAME = {
    "on": "when",
    "if": "when",
    "filter": "when",
    "trigger": "when",
    "targets": "to",
    "destinations": "to",
    "outputs": "to",
    "actors": "actor",
    "tasks": "task",
    "statuses": "status",
    "datasets": "dataset",
    "record": "records",
    "log": "log_tail",
    "retries": "retry",
    "destination": "sink",
    "secret": "secrets",
}


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `word` was probably meant to be."""
    lowered = {known_word.lower(): known_word for known_word in known}
    if (same := _SAME.get(word)) in lowered.values():
        return same
    near = difflib.get_close_matches(word.lower(), lowered, n=1)
    return lowered[near[0]] if near else None


def guess(word: str, known: Iterable[str]) -> str:
    """A question to put before the list of what is known, with a blank behind it; empty if nothing is near."""
    near = nearest(word, known)
    return f"did you mean `{near}`? " if near else ""
