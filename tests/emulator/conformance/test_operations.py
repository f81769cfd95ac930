"""Every operation of the platform's document is there, or says that it is not."""

import requests

from tests.emulator.conformance.document import OPERATIONS, Operation
from tests.emulator.conformance.platform import TOKEN, Platform

#: Answered with 501: making, building and changing Actors, schedules, and what belongs to an account's bills.
NOT_EMULATED = {
    "DELETE /v2/actor-builds/{buildId}",
    "DELETE /v2/actors/{actorId}",
    "DELETE /v2/schedules/{scheduleId}",
    "POST /v2/actors",
    "POST /v2/schedules",
    "PUT /v2/schedules/{scheduleId}",
    "PUT /v2/actors/{actorId}",
    "PUT /v2/users/me/limits",
    "POST /v2/actors/{actorId}/builds",
}


#: There is no schedule to find.
EMPTY = {"GET /v2/schedules/{scheduleId}"}


def test_what_is_not_emulated_says_so_and_is_named_here(platform: Platform) -> None:
    answers = {one.name: _status(platform, one) for one in sorted(OPERATIONS, key=_changes_something)}
    assert {name for name, status in answers.items() if status == 501} == NOT_EMULATED
    assert {name for name, status in answers.items() if status == 405} == set()
    reads = {one.name for one in OPERATIONS if not _changes_something(one)}
    assert {name for name in reads if answers[name] >= 300} == EMPTY


def _changes_something(one: Operation) -> bool:
    return one.method not in {"get", "head"} or "run-sync" in one.path


def _status(platform: Platform, one: Operation) -> int:
    """DELETE is asked of things that are not there."""
    ids = platform.ids if one.method != "delete" else {}
    path = one.path
    for name in one.names:
        path = path.replace(f"{{{name}}}", ids.get(name, "nothing"))
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    body = None if one.method in {"get", "head"} else b"{}"
    return requests.request(one.method, platform.url + path, data=body, headers=headers, timeout=30).status_code
