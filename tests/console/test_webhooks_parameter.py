"""The `webhooks` parameter: what we write, the platform and its official client read, and the other way round."""

import base64
import json

import msgspec
import pytest
from apify_client._utils.encoding import encode_webhooks_to_base64

from config.sources.apify.webhooks import (
    EVENT_TYPES,
    TERMINAL,
    AdHocWebhook,
    WebhooksInvalid,
    decode,
    encode,
    pointing_at,
)
from emulator.webhooks import decode_webhooks

URL = "https://hooks.example.com/webhooks/apify"
FULL = AdHocWebhook(
    event_types=list(EVENT_TYPES),
    request_url=URL,
    payload_template='{"run": {{resource}}, "ü": "💡"}',
    headers_template='{"Authorization": "Bearer {{userId}}"}',
    should_interpolate_strings=True,
    idempotency_key="k-1",
    ignore_ssl_errors=False,
    do_not_retry=True,
)


def test_what_was_encoded_decodes_to_the_same() -> None:
    webhooks = [FULL, pointing_at(URL, "s3cret")]
    assert decode(encode(webhooks)) == webhooks


def test_the_four_ways_a_run_ends_are_announced_with_the_secret() -> None:
    assert msgspec.to_builtins(pointing_at(URL, "s3cret", idempotency_key="k")) == {
        "eventTypes": ["ACTOR.RUN.SUCCEEDED", "ACTOR.RUN.FAILED", "ACTOR.RUN.ABORTED", "ACTOR.RUN.TIMED_OUT"],
        "requestUrl": URL,
        "headersTemplate": '{"Authorization": "Bearer s3cret"}',
        "idempotencyKey": "k",
    }


def test_the_platform_reads_what_we_write() -> None:
    assert msgspec.to_builtins(decode_webhooks(encode([FULL]))) == msgspec.to_builtins([FULL])


def test_what_the_official_client_writes_decodes_to_the_same() -> None:
    fields = msgspec.to_builtins(pointing_at(URL, "s3cret"))
    official = encode_webhooks_to_base64([fields])
    assert official is not None
    assert msgspec.to_builtins(decode(official)) == json.loads(base64.b64decode(official)) == [fields]


def test_what_a_url_does_to_base64_is_forgiven() -> None:
    webhook = pointing_at(URL + "?a=~~~>>>???", "s3cret")
    value = encode([webhook])
    for worn in (value.rstrip("="), value.replace("+", " "), value.replace("+", "-").replace("/", "_"), f" {value} "):
        assert decode(worn) == [webhook]


def _value(said: object) -> str:
    return base64.b64encode(json.dumps(said).encode()).decode()


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("!!!", "not Base64"),
        (base64.b64encode(b"\xff\xfe").decode(), "not of UTF-8 text"),
        (base64.b64encode(b"nope").decode(), "not of JSON"),
        (_value({"eventTypes": list(TERMINAL), "requestUrl": URL}), "Expected `array`"),
        (_value([{"requestUrl": URL}]), "missing required field `eventTypes`"),
        (_value([{"eventTypes": [], "requestUrl": URL}]), "length >= 1"),
        (_value([{"eventTypes": ["ACTOR.RUN.SUCCEDED"], "requestUrl": URL}]), "Invalid enum value"),
        (_value([{"eventTypes": list(TERMINAL), "requestUrl": URL, "isAdHoc": True}]), "unknown field `isAdHoc`"),
        (_value([{"eventTypes": list(TERMINAL), "requestUrl": "hooks.example.com"}]), "absolute http or https URL"),
        (_value([{"eventTypes": list(TERMINAL), "requestUrl": URL, "headersTemplate": "[]"}]), "JSON object"),
    ],
)
def test_what_the_platform_would_refuse_is_refused_with_a_reason(value: str, why: str) -> None:
    with pytest.raises(WebhooksInvalid, match=why.replace("[", r"\[")):
        decode(value)


def test_deeply_nested_json_is_refused_and_not_a_crash() -> None:
    with pytest.raises(WebhooksInvalid):
        decode(base64.b64encode(b"[" * 100_000).decode())
