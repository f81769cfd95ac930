"""The `webhooks` parameter of Run Actor: Base64 of a JSON array of ad-hoc webhooks (Apify, "Ad-hoc webhooks").

As strict as the platform: eight fields and no other, event names it knows, an absolute address.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

import msgspec

EventType = Literal[
    "ACTOR.RUN.CREATED",
    "ACTOR.RUN.SUCCEEDED",
    "ACTOR.RUN.FAILED",
    "ACTOR.RUN.ABORTED",
    "ACTOR.RUN.TIMED_OUT",
    "ACTOR.RUN.RESURRECTED",
    "ACTOR.BUILD.CREATED",
    "ACTOR.BUILD.SUCCEEDED",
    "ACTOR.BUILD.FAILED",
    "ACTOR.BUILD.ABORTED",
    "ACTOR.BUILD.TIMED_OUT",
    "TEST",
]
EVENT_TYPES: tuple[EventType, ...] = get_args(EventType)
#: All the ways a run can end. One that is left out is a run nobody hears of.
TERMINAL: tuple[EventType, ...] = (
    "ACTOR.RUN.SUCCEEDED",
    "ACTOR.RUN.FAILED",
    "ACTOR.RUN.ABORTED",
    "ACTOR.RUN.TIMED_OUT",
)


class WebhooksInvalid(ValueError):
    """The platform would refuse it; the message says what and where."""


class AdHocWebhook(msgspec.Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One webhook that lives as long as its run.

    Attributes:
        payload_template: body with `{{eventType}}`, `{{resource}}` …; the platform's default without.
        headers_template: JSON object of headers, as text.
        idempotency_key: the platform makes one webhook for one key, whatever is started with it.
    """

    event_types: Annotated[list[EventType], msgspec.Meta(min_length=1)]
    request_url: str
    payload_template: str | None = None
    headers_template: str | None = None
    should_interpolate_strings: bool | None = None
    idempotency_key: str | None = None
    ignore_ssl_errors: bool | None = None
    do_not_retry: bool | None = None


def pointing_at(
    url: str, secret: str, *, events: Sequence[EventType] = TERMINAL, idempotency_key: str | None = None
) -> AdHocWebhook:
    """A webhook to one of our doors, with the secret in the header it is looked for in.

    Raises WebhooksInvalid.
    """
    webhook = AdHocWebhook(
        event_types=list(events),
        request_url=url,
        headers_template=json.dumps({"Authorization": f"Bearer {secret}"}) if secret else None,
        idempotency_key=idempotency_key,
    )
    _check(webhook, 0)
    return webhook


def encode(webhooks: Sequence[AdHocWebhook]) -> str:
    """The value of the parameter, ready to be percent-encoded by whoever builds the URL."""
    return base64.b64encode(msgspec.json.encode(list(webhooks))).decode()


def decode(value: str) -> list[AdHocWebhook]:
    """What a value says. Forgives what URLs do to Base64: a space for `+`, the URL-safe alphabet, missing padding.

    Raises WebhooksInvalid.
    """
    text = value.strip().translate(str.maketrans(" -_", "++/")).rstrip("=")
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        webhooks = msgspec.json.decode(raw.decode(), type=list[AdHocWebhook])
    except (binascii.Error, ValueError, RecursionError) as exc:
        raise WebhooksInvalid(_why(exc)) from None
    for index, webhook in enumerate(webhooks):
        _check(webhook, index)
    return webhooks


def _why(exc: Exception) -> str:
    match exc:
        case msgspec.ValidationError():
            return f"not an array of ad-hoc webhooks: {exc}"
        case binascii.Error():
            return "not Base64"
        case UnicodeError():
            return "Base64, but not of UTF-8 text"
    return "Base64, but not of JSON"


def _check(webhook: AdHocWebhook, index: int) -> None:
    """What types alone cannot say."""
    try:
        url = urlsplit(webhook.request_url)
        usable = url.scheme in {"http", "https"} and bool(url.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise WebhooksInvalid(f"requestUrl of webhook {index} is not an absolute http or https URL")
    if webhook.headers_template is not None and "{{" not in webhook.headers_template:
        _check_headers(webhook.headers_template, index)


def _check_headers(template: str, index: int) -> None:
    try:
        headers = json.loads(template)
    except (ValueError, RecursionError):
        headers = None
    if not isinstance(headers, dict):
        raise WebhooksInvalid(f"headersTemplate of webhook {index} is not the text of a JSON object")
