import base64
import json
from typing import Any

import pytest

from emulator.errors import ApiError
from emulator.webhooks import AdHocWebhook, decode_webhooks

HOOK = {"eventTypes": ["ACTOR.RUN.SUCCEEDED"], "requestUrl": "https://hooks.example.com/a"}


def encoded(value: Any) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


def test_reads_what_the_python_client_writes() -> None:
    value = (
        "W3siZXZlbnRUeXBlcyI6IFsiQUNUT1IuUlVOLlNVQ0NFRURFRCJdLCAicmVxdWVzdFVybCI6ICJodHRwczovL2hvb2tzLmV4YW1wbGUuY29t"
        "L2EifV0="
    )

    assert decode_webhooks(value) == [
        AdHocWebhook(event_types=["ACTOR.RUN.SUCCEEDED"], request_url="https://hooks.example.com/a")
    ]


def test_reads_all_eight_fields() -> None:
    more = {
        "payloadTemplate": '{"id": {{resource.id}}}',
        "headersTemplate": '{"Authorization": "Bearer x"}',
        "shouldInterpolateStrings": True,
        "idempotencyKey": "k",
        "ignoreSslErrors": True,
        "doNotRetry": False,
    }

    assert decode_webhooks(encoded([HOOK | more])) == [
        AdHocWebhook(
            event_types=["ACTOR.RUN.SUCCEEDED"],
            request_url="https://hooks.example.com/a",
            payload_template='{"id": {{resource.id}}}',
            headers_template='{"Authorization": "Bearer x"}',
            should_interpolate_strings=True,
            idempotency_key="k",
            ignore_ssl_errors=True,
            do_not_retry=False,
        )
    ]


def test_forgives_spaces_for_plus_the_url_alphabet_and_missing_padding() -> None:
    hook = HOOK | {"requestUrl": "https://h.example/?~~~>>>???ÿÿ"}
    standard = encoded([hook])
    assert {"+", "/", "="} <= set(base64.b64encode(json.dumps([hook], ensure_ascii=False).encode()).decode() + standard)
    standard = base64.b64encode(json.dumps([hook], ensure_ascii=False).encode()).decode()
    expected = decode_webhooks(standard)

    assert decode_webhooks(standard.replace("+", " ")) == expected
    assert decode_webhooks(standard.replace("+", "-").replace("/", "_")) == expected
    assert decode_webhooks(standard.rstrip("=")) == expected


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("!!!", "not valid Base64"),
        ("abcde", "not valid Base64"),
        (base64.b64encode(b"\xff\xfe").decode(), "UTF-8"),
        (base64.b64encode(b"[" * 100_000).decode(), "Expected `object`, got `array`"),
        (base64.b64encode(b"{nope").decode(), "JSON array"),
        (encoded(HOOK), "Expected `array`, got `object`"),
        (encoded([{"eventTypes": ["ACTOR.RUN.SUCCEEDED"]}]), "missing required field `requestUrl`"),
        (encoded([{"requestUrl": "https://a.example"}]), "missing required field `eventTypes`"),
        (encoded([HOOK | {"eventTypes": []}]), "length >= 1"),
        (encoded([HOOK | {"eventTypes": ["ACTOR.RUN.FINISHED"]}]), "Invalid enum value 'ACTOR.RUN.FINISHED'"),
        (encoded([HOOK, HOOK | {"condition": {}}]), "unknown field `condition` - at `$[1]`"),
        (encoded([HOOK | {"doNotRetry": "yes"}]), "Expected `bool | null`"),
        (encoded([HOOK | {"requestUrl": "ftp://a.example"}]), "requestUrl must be"),
        (encoded([HOOK | {"requestUrl": "/relative"}]), "requestUrl must be"),
        (encoded([HOOK | {"payloadTemplate": '{"a": {{nope}}}'}]), "payloadTemplate: The template uses an invalid"),
        (encoded([HOOK | {"headersTemplate": "{"}]), "headersTemplate: The template is not valid JSON"),
    ],
)
def test_says_what_is_wrong_with_the_rest(value: str, said: str) -> None:
    with pytest.raises(ApiError) as caught:
        decode_webhooks(value)

    assert (caught.value.status, caught.value.type) == (400, "invalid-value")
    assert said in caught.value.message


def test_an_empty_array_is_no_webhook() -> None:
    assert decode_webhooks(encoded([])) == []
