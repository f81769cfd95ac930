"""What may be kept of a webhook that nobody could verify: any bytes, but no secret."""

import base64

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import logs
from config.webhooks.captured import MOST_BODY, Captured, body_of, shown

SECRET = "the-secret-öf-this-test"
KEY = "whsec_aGVsbG8/d29ybGQ+b2Y/Y2FwdHVyZXMh"


@pytest.fixture(autouse=True, scope="module")
def _known() -> None:
    """They stay known: a mask never forgets, and nobody else has these."""
    logs.add_secret(SECRET, KEY)


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


@pytest.mark.parametrize("name", ["x-auth", "x-pass", "x-session", "x-amz-credential", "ocp-apim-subscription-key"])
def test_nor_are_those_that_only_a_header_has(name: str) -> None:
    assert shown([(name.encode(), b"hunter2")]) == (((name, "*** (7 characters)"),), ())


@pytest.mark.parametrize("value", [b"Basic dTpw", b"bearer abc", b"Token  abc"])
def test_credentials_of_a_scheme_are_never_kept(value: bytes) -> None:
    assert shown([(b"x-odd", value)]) == ((("x-odd", f"*** ({len(value)} characters)"),), ())


@pytest.mark.parametrize(
    "spelled",
    [
        *(base64.b64encode(before.encode() + SECRET.encode() + b"!").decode() for before in ("", "u:", "user:", "a:b")),
        base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("="),
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
        KEY.removeprefix("whsec_"),
        KEY.removeprefix("whsec_").replace("/", r"\/"),
    ],
)
def test_no_secret_is_kept_in_another_spelling(spelled: str) -> None:
    inmost = spelled[4:-4]
    body, was_masked = body_of(f'{{"a": "{spelled}"}}'.encode())
    headers, _ = shown([(b"x-odd", spelled.encode())])
    assert (inmost in body.decode(), was_masked, headers) == (
        False,
        True,
        (("x-odd", f"*** ({len(spelled)} characters)"),),
    )


def test_a_secret_in_a_header_is_found_in_either_encoding() -> None:
    utf8, latin = SECRET.encode(), SECRET.encode("latin-1")
    assert shown([(b"x-a", utf8), (b"x-b", latin)]) == (
        (("x-a", "*** (24 characters)"), ("x-b", "*** (23 characters)")),
        ("x-a", "x-b"),
    )


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ('{"a": {"password": "p", "n": 1}}', '{"a": {"password": "***", "n": 1}}'),
        ('{"api_key":"k\\"ey","b":"c"}', '{"api_key":"***","b":"c"}'),
        ('{"tokens": ["a", "b"], "c": "d"}', '{"tokens": ["***", "***"], "c": "d"}'),
        ('{"db": {"auth" : "x"}, "Authorization": "y"}', '{"db": {"auth" : "***"}, "Authorization": "***"}'),
        ('{"secret": "cut of', '{"secret": "***"'),
        ('{"a": "Basic dTpw", "b": "Bearer abc"}', '{"a": "Basic ***", "b": "Bearer ***"}'),
    ],
)
def test_what_a_body_calls_a_secret_is_not_kept(body: str, kept: str) -> None:
    assert body_of(body.encode()) == (kept.encode(), True)


@pytest.mark.parametrize(
    "body",
    [
        '{"plan": "Basic monthly", "token": "", "tokens": 7, "secret": null}',
        '{"signature": "ab", "x": ["password", "p"], "y": {"z": "token"}}',
        '{"token": {"b": "c"}, "author": "a", "compass": "b"}',
    ],
)
def test_the_rest_of_a_body_is_as_it_came(body: str) -> None:
    assert body_of(body.encode()) == (body.encode(), False)


@pytest.mark.timeout(10)  # a hundred times what it takes
@pytest.mark.parametrize(
    "junk", [b"\t", b",", b'"', b"=", b'"\\', b'\\"', b":", b'"":', b"basic ", b"/", b"a://", b"token"]
)
def test_a_long_body_takes_no_longer_than_it_is(junk: bytes) -> None:
    """A parser that goes back in it would not end here."""
    for _ in range(5):
        body_of(b'"' + junk * (MOST_BODY // len(junk)))
        shown([(b"x-odd", b"a" + junk * (16_384 // len(junk)))])


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
