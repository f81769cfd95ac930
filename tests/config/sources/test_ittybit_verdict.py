"""What ittybit's error answers mean: every row of its page of error codes, over the wire."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.contracts.errors import Transient, WorkError
from config.sources.ittybit.verdict import verdict
from tests.ittybit.asking import Project

TABLE = [
    [cell.strip() for cell in line.split(" | ")]
    for line in Path(__file__).with_name("ittybit_error_codes.txt").read_text().splitlines()
    if not line.startswith("#")
]


async def refused(ittybit: Project) -> WorkError:
    with pytest.raises(WorkError) as caught:
        await ittybit.source.run(ittybit.api, "job_1")
    return caught.value


def outcome(error: WorkError) -> tuple[str, str, str]:
    return type(error).__name__, error.reason, error.detail


@pytest.mark.parametrize(("status", "kind", "message", "error", "reason", "detail"), TABLE)
async def test_every_error_of_the_page_has_its_verdict(
    ittybit: Project, status: str, kind: str, message: str, error: str, reason: str, detail: str
) -> None:
    body = b"<html>no</html>" if kind == "-" else None
    ittybit.place.refuse("/jobs/job_1", int(status), kind, message, body=body, Retry_After="30")
    found = await refused(ittybit)
    assert outcome(found) == (error, reason, detail)
    assert not isinstance(found, Transient) or found.retry_after == 30.0
    assert len(detail) <= 300


async def test_an_account_whose_api_knows_no_such_list_has_a_key_all_the_same(ittybit: Project) -> None:
    ittybit.place.refuse("/runs", 404, "not_found", "No such endpoint.")
    assert await ittybit.source.account(ittybit.api) == ""


async def test_a_wrong_key_is_noticed_by_asking_for_the_account(ittybit: Project) -> None:
    assert await ittybit.source.account(ittybit.api) == ""
    wrong = ittybit.other(token="another-key-0123456789", work="jobs")
    with pytest.raises(WorkError) as caught:
        await wrong.source.account(wrong.api)
    detail = "HTTP 401 token_invalid: Include a valid API key in the Authorization header."
    assert outcome(caught.value) == ("Unauthorized", "source_token_refused", detail)
    assert ittybit.place.paths() == ["GET /runs?limit=1", "GET /jobs?limit=1"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"message": "No such task"}}, "No such task"),
        ({"meta": {}, "data": None, "error": {"message": "No such task"}, "links": {}}, "No such task"),
        ({"error": {"kind": "gone", "message": "No"}}, "gone: No"),
        ({"kind": "gone"}, "gone"),
        ({"kind": "a\nb", "message": "one\r\ntwo"}, "a b: one two"),
        ({"kind": "k" * 99, "message": "m" * 999}, f"{'k' * 60}: {'m' * 140}"),
        ({"error": "text"}, "without a readable error"),
        ({"kind": None, "message": None}, "without a readable error"),
        ({}, "without a readable error"),
        ([], "without a readable error"),
        (None, "without a readable error"),
    ],
)
def test_errors_of_every_year_are_read(body: object, said: str) -> None:
    assert verdict(404, {}, json.dumps(body).encode()).detail == f"HTTP 404 {said}"


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("the key ittybit_live_Ab1 is paused", "the key *** is paused"),
        ("sk_test_1 and sk_live_2", "*** and ***"),
        ("got Bearer x1-y2.z3 instead", "got Bearer *** instead"),
        ("signed with whsec_MIGf+/a= today", "signed with *** today"),
        ("no https://x.test/?expiry=1&signature=0.f%2B here", "no https://x.test/?expiry=1&signature=*** here"),
    ],
)
def test_a_secret_the_platform_repeats_goes_no_further(message: str, said: str) -> None:
    body = json.dumps({"kind": "token_invalid", "message": message}).encode()
    assert verdict(401, {}, body).detail == f"HTTP 401 token_invalid: {said}"


@settings(deadline=None)
@given(st.integers(100, 599), st.dictionaries(st.sampled_from(["retry-after", "date"]), st.text()), st.binary())
def test_no_answer_can_do_more_than_get_a_verdict(status: int, headers: dict[str, str], body: bytes) -> None:
    assert isinstance(verdict(status, headers, body), WorkError)
