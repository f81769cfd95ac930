"""Signatures as senders publish them, and as they are forged."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.contracts.errors import Refused
from config.webhooks.options import Hmac, StandardWebhooks
from config.webhooks.signatures import MOST, Signed, standard

KEY, OTHER = b"a-key-of-some-length", b"the-key-before-it"
BODY = b'{"id": 7, "name": "\xc3\xa9"}'
NOW = 1_700_000_000.0


def mac(message: bytes, key: bytes = KEY, digest: str = "sha256") -> bytes:
    """Made without us."""
    return hmac.new(key, message, getattr(hashlib, digest)).digest()


def signed(keys: tuple[bytes, ...] = (KEY,), now: float = NOW, **form: Any) -> Signed:
    return Signed(keys, Hmac.model_validate({"scheme": "hmac", "header": "x-sig", **form}), now=lambda: now)


def refusal(one: Signed, headers: Mapping[str, str], body: bytes = BODY) -> str:
    with pytest.raises(Refused) as caught:
        one.check(headers, body)
    assert caught.value.headers == {"WWW-Authenticate": "Signature"}
    assert not any(key.decode() in caught.value.message for key in (KEY, OTHER))
    return caught.value.kind


# as published


def test_github_as_its_documentation_has_it() -> None:
    """docs.github.com, "Validating webhook deliveries", "Testing the webhook payload validation"."""
    form = Hmac.model_validate({"scheme": "hmac", "header": "X-Hub-Signature-256", "prefix": "sha256="})
    one = Signed([b"It's a Secret to Everybody"], form)
    headers = {
        "x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
    }
    one.check(headers, b"Hello, World!")
    assert refusal(one, headers, b"Hello, World?") == "signature_invalid"


@pytest.mark.parametrize(
    ("prefix", "secret", "ident", "moment", "signature", "body"),
    [
        (
            "webhook",
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1649367553,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
            b'{"email":"test@example.com","username":"test_user"}',
        ),
        (
            "svix",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1614265330,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            b'{"test": 2432232314}',
        ),
    ],
    ids=["standard webhooks", "svix"],
)
def test_standard_webhooks_as_published(
    prefix: str, secret: str, ident: str, moment: int, signature: str, body: bytes
) -> None:
    """The examples of standard-webhooks/standard-webhooks and of Svix's documentation."""
    one = standard(StandardWebhooks(scheme="standard_webhooks"), [secret], lambda: float(moment))
    headers = {f"{prefix}-id": ident, f"{prefix}-timestamp": str(moment), f"{prefix}-signature": signature}
    one.check_head(headers)
    one.check(headers, body)
    for name in headers:
        assert refusal(one, {**headers, name: "1"}, body) == "signature_invalid"
        assert refusal(one, {other: headers[other] for other in headers if other != name}, body) == "signature_missing"


def test_a_time_and_a_version_in_one_header() -> None:
    one = signed(part="v1", signed="{t}.{body}", timestamp="t", header="stripe-signature")
    good = mac(b"1700000000." + BODY).hex()
    one.check({"stripe-signature": f"t=1700000000,v1={good},v0=00"}, BODY)
    one.check({"stripe-signature": f"t=1700000000, v1=00, v1={good}"}, BODY)
    assert refusal(one, {"stripe-signature": f"t=1700000001,v1={good}"}) == "signature_invalid"
    assert refusal(one, {"stripe-signature": f"t=1700000000,v0={good}"}) == "signature_invalid"
    assert refusal(one, {"stripe-signature": f"v1={good}"}) == "signature_missing"


# the ways of writing one


@pytest.mark.parametrize("digest", ["sha1", "sha256", "sha512"])
@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_every_hash_in_every_writing(digest: str, encoding: str) -> None:
    made = mac(BODY, digest=digest)
    text = made.hex().upper() if encoding == "hex" else base64.urlsafe_b64encode(made).decode().rstrip("=")
    signed(digest=digest, encoding=encoding).check({"x-sig": text}, BODY)


@pytest.mark.parametrize(
    ("form", "header", "message"),
    [
        ({"prefix": "HMAC ", "encoding": "base64"}, "HMAC {b64}", BODY),
        (
            {"signed": "v0:{X-Time}:{body}", "timestamp": "X-Time", "prefix": "v0="},
            "v0={hex}",
            b"v0:1700000000:" + BODY,
        ),
        ({"part": "h1", "signed": "{ts}:{body}"}, "ts=1;h1={hex}", b"1:" + BODY),
        ({"part": "Signature", "encoding": "base64"}, 'keyId="a", signature="{b64}"', BODY),
        ({"signed": "{x-time}{body}é"}, "{hex}", b"1700000000" + BODY + "é".encode()),
    ],
)
def test_what_stands_around_it(form: dict[str, Any], header: str, message: bytes) -> None:
    made = mac(message)
    written = header.replace("{hex}", made.hex()).replace("{b64}", base64.b64encode(made).decode())
    headers = {"x-sig": written, "x-time": "1700000000"}
    signed(**form).check_head(headers)
    signed(**form).check(headers, BODY)
    assert refusal(signed(**form), headers, BODY + b" ") == "signature_invalid"


def test_any_key_may_have_signed_and_any_signature_may_fit() -> None:
    both, old, new = signed((KEY, OTHER)), mac(BODY, OTHER).hex(), mac(BODY).hex()
    both.check({"x-sig": old}, BODY)
    both.check({"x-sig": f"{'00' * 32} {new}"}, BODY)
    both.check({"x-sig": f"{'00' * 32},{old}"}, BODY)
    assert refusal(signed((KEY,)), {"x-sig": old}) == "signature_invalid"
    assert refusal(signed(()), {"x-sig": new}) == "signature_invalid"


def test_signatures_of_other_versions_are_passed_over() -> None:
    one = standard(StandardWebhooks(scheme="standard_webhooks"), [base64.b64encode(KEY).decode()], lambda: NOW)
    good = base64.b64encode(mac(b"m.1700000000." + BODY)).decode()
    headers = {"webhook-id": "m", "webhook-timestamp": "1700000000"}
    one.check({**headers, "webhook-signature": f"v1a,AAAA v2,{good} v1,AAAA v1,{good}"}, BODY)
    for other in (f"v1a,{good}", f"v2,{good}", good, f"V1,{good}", "v1,", f"v1;{good}", f"v1, {good}"):
        assert refusal(one, {**headers, "webhook-signature": other}) == "signature_invalid"


# how it is refused


@pytest.mark.parametrize("written", ["", ","])
def test_without_a_signature_it_is_missing_or_none(written: str) -> None:
    assert refusal(signed(), {"x-sig": written}) == ("signature_invalid" if written else "signature_missing")
    assert refusal(signed(), {}) == "signature_missing"


@pytest.mark.parametrize("off", [-301, -299, 0, 299, 301])
@pytest.mark.parametrize("written", ["{s}", "{s}.5", "{s}000", "iso"])
def test_it_may_not_be_older_or_newer_than_the_tolerance(off: int, written: str) -> None:
    said = {"iso": "2023-11-14T22:13:20Z"}.get(written, written.replace("{s}", "1700000000"))
    one = signed(signed="{x-time}.{body}", timestamp="x-time", now=NOW + off)
    headers = {"x-sig": mac(f"{said}.".encode() + BODY).hex(), "x-time": said}
    if abs(off) < 300:
        one.check(headers, BODY)
        return
    assert refusal(one, headers) == "signature_invalid"
    with pytest.raises(Refused, match="too long ago"):
        one.check_head(headers)


def test_the_head_alone_is_refused_for_all_but_the_hash() -> None:
    one = signed(signed="{x-time}.{x-id}.{body}", timestamp="x-time")
    fine = {"x-sig": "00", "x-time": "1700000000", "x-id": "7"}
    one.check_head(fine)
    for name in fine:
        for value in ("", "\xff"):
            if (name, value) != ("x-id", "\xff"):
                with pytest.raises(Refused):
                    one.check_head({**fine, name: value})


@pytest.mark.parametrize("fits", [0, MOST - 1, MOST])
def test_every_key_is_compared_with_every_signature_and_no_more_than_some(
    fits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[bytes] = []
    real = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return real(one, other)

    monkeypatch.setattr("config.webhooks.signatures.hmac.compare_digest", compare)
    words = ["00" * 32] * (MOST + 5)
    words[fits] = mac(BODY, OTHER).hex()
    try:
        signed((OTHER, KEY)).check({"x-sig": " ".join(words)}, BODY)
    except Refused:
        assert fits == MOST
    assert len(compared) == 2 * MOST


FORMS = [
    signed(),
    signed(encoding="base64", prefix="v1,"),
    signed(part="v1", signed="{t}.{x-id}.{body}", timestamp="t", prefix="a="),
    signed(signed="{x-id}{body}", timestamp=None, encoding="base64"),
    standard(StandardWebhooks(scheme="standard_webhooks"), ["d2h5IG5vdA=="]),
]
NAMES = ["x-sig", "x-id", "webhook-id", "webhook-timestamp", "webhook-signature", "svix-id", "svix-signature"]
PIECES = st.sampled_from(["v1,", "v1=", "t=", "1700000000", "=", ",", " ", "AAAA", "00", "9" * 400, '"', "-", "T"])
VALUES = st.lists(PIECES | st.text(st.characters(max_codepoint=255), max_size=3), max_size=12).map("".join)


@given(st.sampled_from(FORMS), st.dictionaries(st.sampled_from(NAMES), VALUES), st.binary(max_size=30))
def test_nothing_a_stranger_sends_does_more_than_be_refused(one: Signed, headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(Refused):
        one.check(headers, body)
    try:
        one.check_head(headers)
    except Refused:
        return


@pytest.mark.timeout(10)  # a hundred times what it takes
@pytest.mark.parametrize("junk", ["\t", " ", ",", ";", '"', "=", "a", "a=", ", a", "=\t", "v1,", "-"])
def test_a_long_header_takes_no_longer_than_it_is(junk: str) -> None:
    """Whoever has no secret can send it. A parser that goes back in it would not end here."""
    ways = (
        signed(part="v1", signed="{t}.{body}", timestamp="t"),
        signed(prefix="v1,"),
        signed(prefix="," * 32),
    )
    for _ in range(20):
        for one in ways:
            with pytest.raises(Refused):
                one.check_head({"x-sig": "a" + junk * (16_384 // len(junk)) + "b"})
