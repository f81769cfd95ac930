"""What may be kept of a webhook that nobody could verify: any bytes, but no secret."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import logs
from config.webhooks.captured import MOST_BODY, Captured, body_of, shown

SECRET = "the-secret-öf-this-test"


@pytest.fixture(autouse=True, scope="module")
def _known() -> None:
    """It stays known: a mask never forgets, and nobody else has this one."""
    logs.add_secret(SECRET)


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_a_known_secret_goes_out_of_any_body_and_the_rest_stays(before: bytes, after: bytes) -> None:
    body, masked = body_of(before + SECRET.encode() + after)
    assert (SECRET.encode() in body, masked) == (False, True)


@given(st.binary(max_size=200))
def test_a_body_that_is_not_masked_is_as_it_came(raw: bytes) -> None:
    body, masked = body_of(raw)
    assert masked or body == raw


def test_no_more_of_a_body_is_kept_than_is_said() -> None:
    assert body_of(b"x" * (MOST_BODY + 1)) == (b"x" * MOST_BODY, False)


@given(st.binary(max_size=40), st.booleans())
def test_any_header_can_be_kept_and_read_again(value: bytes, known: bool) -> None:
    said = SECRET.encode() if known else value
    headers, secrets = shown([(b"x-any", said)])
    one = Captured("1", 0.0, 1.0, "a", "token_missing", "POST", "/", headers, secrets, said, False, False)
    again = msgspec.json.decode(msgspec.json.encode(one), type=Captured)
    assert again == one
    assert (SECRET.encode() in again.headers[0][1].encode("latin-1"), bool(again.secrets)) == (False, known)


@pytest.mark.parametrize(
    "name", ["authorization", "cookie", "proxy-authorization", "x-gitlab-token", "x-api-key", "x-shared-secret"]
)
def test_headers_for_secrets_are_never_kept(name: str) -> None:
    assert shown([(name.encode(), b"hunter2")]) == (((name, "*** (7 characters)"),), ())


@pytest.mark.parametrize("name", ["x-signature", "x-hub-signature-256", "webhook-signature", "x-amz-signature"])
@pytest.mark.parametrize("value", [b"t=1;signature=ab", b"v1,K5oZ/pI4=", b"sha256=ab"])
def test_signatures_are_kept_for_they_are_what_is_learnt(name: str, value: bytes) -> None:
    assert shown([(name.encode(), value)]) == (((name, value.decode()),), ())


def test_a_known_secret_is_not_kept_even_as_a_signature() -> None:
    headers = [(b"x-signature", SECRET.encode()), (b"x-signature", b"v1=" + SECRET.encode())]
    assert shown(headers) == (
        (("x-signature", "*** (24 characters)"), ("x-signature", "*** (27 characters)")),
        ("x-signature",),
    )
