"""What the file may say about who is let in, and who then is."""

import base64
import hashlib
import hmac
from pathlib import Path
from typing import Any

import pytest

from config.contracts.errors import Refused
from config.contracts.source import Capture
from config.webhooks.guard import Guard
from config.webhooks.options import Webhook
from tests.config.loading import told

SECRET, OLD = "the-secret-of-this-test", "the-one-before-of-this-test"
WHSEC = f"whsec_{base64.b64encode(b'k' * 24).decode()}"


def guard(verify: Any = "token", *secrets: str, **more: Any) -> Guard:
    return Guard(Webhook.model_validate({"secrets": secrets or (SECRET,), "verify": verify, **more}))


def refusal(one: Guard, presented: str | None, headers: dict[str, str], body: bytes = b"{}") -> tuple[str, str]:
    def let_in() -> None:
        one.authenticate(presented, headers)
        one.check(headers, body)

    with pytest.raises(Refused) as caught:
        let_in()
    assert SECRET not in caught.value.message
    return caught.value.kind, caught.value.message


def test_a_token_comes_along_as_it_is() -> None:
    one = guard("token", OLD, "", SECRET)
    for secret in (OLD, SECRET):
        one.authenticate(secret, {})
        one.check({}, b"whatever")
    assert one.secret == OLD
    assert refusal(one, "wrong", {})[0] == "token_invalid"


def test_a_token_may_stand_in_a_header_of_its_own() -> None:
    one = guard({"scheme": "token", "header": "X-Gitlab-Token"})
    one.authenticate(None, {"x-gitlab-token": SECRET})
    assert refusal(one, SECRET, {}) == ("token_missing", "send the webhook's secret in `x-gitlab-token`")
    assert refusal(one, SECRET, {"x-gitlab-token": "wrong"})[0] == "token_invalid"
    assert one.secret == ""


def test_a_signature_is_asked_for_whatever_secret_comes_along() -> None:
    one = guard({"scheme": "hmac", "header": "X-Sig"})
    good = hmac.new(SECRET.encode(), b"{}", hashlib.sha256).hexdigest()
    one.authenticate(None, {"x-sig": good})
    one.check({"x-sig": good}, b"{}")
    assert refusal(one, SECRET, {})[0] == "signature_missing"
    assert refusal(one, SECRET, {"x-sig": good}, b"{ }")[0] == "signature_invalid"
    assert one.secret == ""


def test_without_the_block_nobody_comes_in() -> None:
    for presented in (None, "", "anything"):
        assert refusal(Guard(None), presented, {})[0].startswith("token_")
    assert (Guard(None).capture, Guard(None).secret) == (None, "")


def test_captures_only_where_the_file_says_so() -> None:
    assert guard().capture is None
    assert guard(capture={}).capture == Capture(keep=10, seconds=86400.0)
    assert guard(capture={"keep": 3, "for": "2h"}).capture == Capture(keep=3, seconds=7200.0)


#: What stands in `webhook` → what is said of it.
MISTAKES = [
    (
        f"secrets: [{WHSEC}, '${{HOOK}}'], verify: standard_webhooks",
        "secrets: a secret of Standard Webhooks is base64, mostly behind `whsec_`: copy it whole "
        "(number 2 of the list)",
    ),
    (
        "secrets: [whpk_AAAA], verify: standard_webhooks",
        "secrets: a secret is one of a key pair (`v1a`), which is not supported: ask for a symmetric one, `whsec_…` "
        "(number 1 of the list)",
    ),
    (
        "secrets: [a], verify: {scheme: hmac, header: x-sig, signed: '{x-id}'}",
        "verify.signed: `signed` must have `{body}` once: what is not signed could be anybody's",
    ),
    (
        "secrets: [a], verify: {scheme: hmac, header: x-sig, signed: '{x-id.{body}'}",
        "verify.signed: a brace has no other half: names stand in `{…}`",
    ),
    (
        "secrets: [a], verify: {scheme: hmac, header: x-sig, signed: '{x id}.{body}'}",
        "verify.signed: names in braces are those of headers, or of parts of the signature's header",
    ),
    (
        "secrets: [a], verify: {scheme: hmac, header: X-Sig, signed: '{x-sig}.{body}'}",
        "verify.signed: `{x-sig}` is the signature itself, which cannot sign itself",
    ),
    (
        "secrets: [a], verify: {scheme: hmac, header: x-sig, signed: '{t}.{body}', timestamp: t}",
        "verify.signed: `{t}` looks like a part of the header: say with `part` which one is the signature",
    ),
    (
        "secrets: [a], verify: {scheme: hmac, header: x-sig, timestamp: X-Time}",
        "verify.timestamp: `signed` must have `{x-time}`: a time that is not signed can be made up, and an old webhook "
        "sent again",
    ),
    (
        "secrets: [a], verify: {scheme: hmac, header: x-sig, tolerance: 1m}",
        "verify.tolerance: `tolerance` is about `timestamp`, which is not there: say where the time stands",
    ),
    ("secrets: ['']", "secrets: every secret is empty, so no webhook could come in: set one of them"),
    ("secrets: [a], verify: {scheme: hmac}", "verify.header: `header` is required"),
]


@pytest.mark.parametrize(("said", "line"), MISTAKES, ids=[line.partition(":")[0] for _, line in MISTAKES])
def test_what_could_never_work_or_would_let_strangers_in_is_refused(said: str, line: str, tmp_path: Path) -> None:
    head = "version: 1\nsources:\n  main:\n    type: apify\n    token: '${TOKEN}'\n    webhook: {"
    rest = "}\nsinks: {disk: {type: file, base: x}}\nroutes: [{name: all, to: [{sink: disk}]}]\n"
    (problem,) = told(tmp_path, head + said + rest)
    place, _, words = problem.partition(" sources.main.webhook.")
    assert place.startswith("runrelay.yaml:6:")
    assert words.partition(" · Example:")[0] == line
    assert "canary" not in problem
    assert WHSEC not in problem
