"""What Apify's error answers mean: the status decides, the type explains."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.contracts.errors import Forbidden, NotFound, NotYet, Permanent, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from config.sources.apify.verdict import verdict
from config.wire.answers import clock

HTML = b"<html><body>bad gateway</body></html>"
DATE = "Sun, 22 Nov 2026 12:00:00 GMT"


def said(kind: str, message: str = "because") -> bytes:
    return json.dumps({"error": {"type": kind, "message": message}}).encode()


def outcome(error: WorkError) -> tuple[type[WorkError], Reason]:
    return type(error), error.reason


TABLE = [
    (400, "invalid-input", Permanent, Reason.SOURCE_REFUSED),
    (400, "concurrent-runs-limit-exceeded", Transient, Reason.SOURCE_UNAVAILABLE),
    (400, "query-timeout", Transient, Reason.SOURCE_UNAVAILABLE),
    (401, "token-not-valid", Unauthorized, Reason.SOURCE_TOKEN_REFUSED),
    (402, "x402-payment-required", Unauthorized, Reason.SOURCE_UNPAID),
    (402, "actor-memory-limit-exceeded", Transient, Reason.SOURCE_UNAVAILABLE),
    (403, "insufficient-permissions", Forbidden, Reason.SOURCE_TOKEN_REFUSED),
    (404, "record-not-found", NotFound, Reason.DATA_EXPIRED),
    (405, "method-not-allowed", Permanent, Reason.SOURCE_REFUSED),
    (408, "run-timeout-exceeded", Transient, Reason.SOURCE_UNAVAILABLE),
    (409, "concurrent-update-detected", Transient, Reason.SOURCE_UNAVAILABLE),
    (409, "name-taken", Permanent, Reason.SOURCE_REFUSED),
    (410, "gone", NotFound, Reason.DATA_EXPIRED),
    (413, "request-too-large", Permanent, Reason.SOURCE_REFUSED),
    (425, "too-early", Transient, Reason.SOURCE_UNAVAILABLE),
    (429, "rate-limit-exceeded", Transient, Reason.SOURCE_UNAVAILABLE),
    (429, "anything", Transient, Reason.SOURCE_UNAVAILABLE),
    (500, "internal-server-error", Transient, Reason.SOURCE_UNAVAILABLE),
    (502, "invalid-input", Transient, Reason.SOURCE_UNAVAILABLE),
    (599, "invalid-input", Transient, Reason.SOURCE_UNAVAILABLE),
    (400, "invalid-token", Unauthorized, Reason.SOURCE_TOKEN_REFUSED),
    (403, "invalid-token", Unauthorized, Reason.SOURCE_TOKEN_REFUSED),
    (401, "insufficient-permissions", Unauthorized, Reason.SOURCE_TOKEN_REFUSED),
    (403, "rate-limit-exceeded", Transient, Reason.SOURCE_UNAVAILABLE),
    (403, "invalid-input", Forbidden, Reason.SOURCE_TOKEN_REFUSED),
    (400, "actor-not-found", NotFound, Reason.DATA_EXPIRED),
    (404, "page-not-found", Permanent, Reason.SOURCE_REFUSED),
    (404, "user-or-token-not-found", Unauthorized, Reason.SOURCE_TOKEN_REFUSED),
    (429, "monthly-usage-limit-too-low", Transient, Reason.SOURCE_UNAVAILABLE),
    (501, "not-implemented", Permanent, Reason.SOURCE_REFUSED),
    (304, "not-modified", Permanent, Reason.SOURCE_REFUSED),
]


@pytest.mark.parametrize(("status", "kind", "error", "reason"), TABLE)
def test_status_and_type_decide(status: int, kind: str, error: type[WorkError], reason: Reason) -> None:
    found = verdict(status, {}, said(kind))
    assert outcome(found) == (error, reason)
    assert found.detail == f"HTTP {status} {kind}: because"


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, Permanent), (401, Unauthorized), (403, Forbidden), (404, NotFound), (429, Transient), (502, Transient)],
)
@pytest.mark.parametrize(
    "body", [b"", HTML, b"null", b"[]", b'{"error": "text"}', b'{"error": {"message": "x"}}', b"[" * 50_000, b"\xff"]
)
def test_a_body_that_explains_nothing_leaves_the_status(status: int, error: type[WorkError], body: bytes) -> None:
    found = verdict(status, {}, body)
    assert type(found) is error
    assert found.detail == f"HTTP {status} without a readable error"


def test_the_detail_is_one_short_line() -> None:
    detail = verdict(400, {}, said("a\nb", "one\r\ntwo\t" + "x" * 5000)).detail
    assert detail.startswith("HTTP 400 a b: one two xxx")
    assert len(detail) < 450


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "120"}, 120.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Sun, 22 Nov 2026 12:01:30 GMT", "date": DATE}, 90.0),
        ({"retry-after": "Sun, 22 Nov 2026 11:00:00 GMT", "date": DATE}, 0.0),
        ({"retry-after": "Sun, 22 Nov 2026 12:01:30 GMT"}, None),
    ],
)
def test_retry_after_is_read_in_both_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    error = verdict(429, headers, b"")
    assert isinstance(error, Transient)
    assert error.retry_after == seconds


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        (DATE, 1795348800.0),
        ("Sun, 22 Nov 2026 13:00:00 +0100", 1795348800.0),
        ("Sun, 22 Nov 2026 12:00:00 -0000", 1795348800.0),
        ("Sun, 22 Nov 2026 12:00:00", 1795348800.0),
        ("", 0.0),
        ("yesterday", 0.0),
        (" ", 0.0),
        ("Sun, 22 Nov 99999999999999999999 12:00:00 GMT", 0.0),
        ("Sun, 99 Nov 2026 12:00:00 GMT", 0.0),
    ],
)
@pytest.mark.usefixtures("far_from_utc")
def test_the_platforms_clock_is_utc_whatever_ours_says(date: str, seconds: float) -> None:
    assert clock({"date": date}) == seconds


def test_an_answer_without_a_date_shows_no_clock() -> None:
    assert clock({}) == 0.0


TEXT = st.text() | st.text(st.characters(min_codepoint=32, max_codepoint=126))


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (401, "token_missing", Unauthorized),
        (401, "token_invalid", Unauthorized),
        (403, "project_required", Forbidden),
        (400, "request_invalid", Permanent),
        (404, "run_not_found", NotFound),
        (402, "payment_required", Unauthorized),
        (500, "internal_error", Transient),
    ],
)
def test_a_kind_beside_its_message_is_understood_too(status: int, kind: str, error: type[WorkError]) -> None:
    found = verdict(status, {}, json.dumps({"kind": kind, "message": "because"}).encode())
    assert (type(found), found.detail) == (error, f"HTTP {status} {kind}: because")


@pytest.mark.parametrize(
    "body", [b'{"error": {"type": "token-not-valid"}}', b'{"kind": "token-not-valid", "message": null}']
)
def test_a_type_without_a_message_counts(body: bytes) -> None:
    refused = verdict(404, {}, body)
    assert (type(refused), refused.detail) == (Unauthorized, "HTTP 404 token-not-valid")


def test_an_unfinished_run_is_not_deleted_yet() -> None:
    found = verdict(400, {}, said("cannot-remove-running-run"))
    assert isinstance(found, NotYet)
    assert (found.reason, found.wait) == (Reason.NOT_TERMINAL, 30.0)


@pytest.mark.parametrize("kind", ["actor-memory-limit-exceeded", "concurrent-runs-limit-exceeded"])
def test_what_other_runs_hold_is_asked_for_again_in_ten_seconds(kind: str) -> None:
    for headers, seconds in (({}, 10.0), ({"retry-after": "3"}, 3.0)):
        found = verdict(402, headers, said(kind))
        assert isinstance(found, Transient)
        assert found.retry_after == seconds


@pytest.mark.parametrize(
    ("message", "detail"),
    [
        ("the token apify_api_Ab1 is not valid", "the token *** is not valid"),
        ("got Authorization: Bearer x1-y2.z3 instead", "got Authorization: Bearer *** instead"),
        ("see https://api.apify.com/v2/x?token=abc&a=1", "see https://api.apify.com/v2/x?token=***&a=1"),
        ("no https://x.test/?a=1&signature=0.1.f%2B here", "no https://x.test/?a=1&signature=*** here"),
    ],
)
def test_a_secret_the_platform_repeats_goes_no_further(message: str, detail: str) -> None:
    assert verdict(401, {}, said("token-not-valid", message)).detail == f"HTTP 401 token-not-valid: {detail}"


@settings(deadline=None)
@given(st.integers(100, 599), st.dictionaries(st.sampled_from(["retry-after", "date"]), TEXT), st.binary())
def test_no_answer_can_do_more_than_get_a_verdict(status: int, headers: dict[str, str], body: bytes) -> None:
    assert isinstance(verdict(status, headers, body), WorkError)
    assert clock(headers) >= 0.0 or "date" in headers
