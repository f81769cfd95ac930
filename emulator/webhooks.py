"""Webhook definitions: ad-hoc ones from a query parameter, lasting ones from the API (Apify, "Webhooks")."""

import base64
import binascii
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from emulator.documents import Document, Documents, Filter
from emulator.errors import ApiError, invalid_input, invalid_value
from emulator.stamps import new_id, stamp
from emulator.templates import TemplateError, render

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


class AdHocWebhook(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """The eight fields of one item of the `webhooks` parameter."""

    event_types: Annotated[list[EventType], msgspec.Meta(min_length=1)]
    request_url: str
    payload_template: str | None = None
    headers_template: str | None = None
    should_interpolate_strings: bool | None = None
    idempotency_key: str | None = None
    ignore_ssl_errors: bool | None = None
    do_not_retry: bool | None = None


class Condition(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What a lasting webhook watches: exactly one Actor, task or run."""

    actor_id: str | None = None
    actor_task_id: str | None = None
    actor_run_id: str | None = None

    @property
    def target(self) -> str | None:
        """The id it watches."""
        return self.actor_run_id or self.actor_task_id or self.actor_id


class LastingWebhook(AdHocWebhook, rename="camel", kw_only=True):
    """The body of `POST /v2/webhooks`."""

    condition: Condition
    description: str | None = None
    is_ad_hoc: bool | None = None


def decode_webhooks(value: str) -> list[AdHocWebhook]:
    """Read the `webhooks` parameter: Base64 of a JSON array.

    Forgives a space where `+` stood, the URL-safe alphabet and missing padding; nothing else.
    Raises: ApiError 400 `invalid-value` that says what is wrong and where.
    """
    text = value.strip().translate(str.maketrans(" -_", "++/"))
    try:
        data = base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), validate=True)
        webhooks = msgspec.json.decode(data.decode(), type=list[AdHocWebhook])
    except binascii.Error:
        raise invalid_value('Query parameter "webhooks" is not valid Base64.') from None
    except UnicodeDecodeError:
        raise invalid_value('Query parameter "webhooks" is not Base64 of UTF-8 text.') from None
    except msgspec.MsgspecError as error:
        raise invalid_value(f'Query parameter "webhooks" must be a JSON array of webhooks: {error}.') from None
    for webhook in webhooks:
        try:
            check(webhook)
        except ValueError as error:
            raise invalid_value(f'Query parameter "webhooks": {error}') from None
    return webhooks


def check(webhook: AdHocWebhook) -> None:
    """What types alone cannot say. Raises: ValueError."""
    url = urlsplit(webhook.request_url)
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise ValueError("requestUrl must be an absolute http or https URL.")
    interpolate = bool(webhook.should_interpolate_strings)
    for name, template in (
        ("payloadTemplate", webhook.payload_template),
        ("headersTemplate", webhook.headers_template),
    ):
        if template:
            try:
                render(template, {}, interpolate=interpolate)
            except TemplateError as error:
                raise ValueError(f"{name}: {error}") from None


def parse_lasting(body: Document) -> LastingWebhook:
    """Read the body of `POST /v2/webhooks`; unknown fields are ignored.

    Raises: ApiError 400 `invalid-input`.
    """
    known = {name: value for name, value in body.items() if name in _LASTING_FIELDS}
    try:
        webhook = msgspec.convert(known, LastingWebhook)
        check(webhook)
    except ValueError as error:
        raise invalid_input(f"The webhook is not valid: {error}") from None
    if webhook.condition.target is None:
        raise invalid_input("The webhook is not valid: condition must name an Actor, a task or a run.")
    return webhook


class Webhooks:
    """All webhooks. An `idempotencyKey` belongs to one webhook for good."""

    def __init__(self, documents: Documents, user_id: str) -> None:
        self._documents, self._user_id = documents, user_id

    def add_ad_hoc(self, webhook: AdHocWebhook, run_id: str) -> Document:
        """Bind a webhook to one run, unless its idempotency key is taken."""
        return self._add(webhook, {"actorRunId": run_id}, run_id, {"isAdHoc": True})

    def add(self, webhook: LastingWebhook) -> Document:
        """Keep a webhook of `POST /v2/webhooks`; a known idempotency key gives the one that has it."""
        condition = {name: value for name, value in msgspec.to_builtins(webhook.condition).items() if value}
        more = {"isAdHoc": bool(webhook.is_ad_hoc), "description": webhook.description}
        return self._add(webhook, condition, webhook.condition.target or "", more)

    def get(self, id_: str) -> Document:
        """One webhook. Raises: ApiError 404."""
        if webhook := self._documents.get("webhook", id_):
            return webhook
        raise ApiError(404, "record-not-found", "Webhook was not found.")

    def matching(self, event: str, run: Document) -> list[Document]:
        """The webhooks that want this event of this run."""
        where = Filter().among("owner", [run["id"], run["actId"]])
        return [webhook for webhook in self._documents.all("webhook", where) if event in webhook["eventTypes"]]

    def update(self, webhook: Document, changes: Document) -> Document:
        """Change the given fields only. Raises: ApiError 400 if the result is not a valid webhook."""
        fields = {name: webhook.get(name) for name in _EDITABLE} | changes
        parsed = parse_lasting({name: value for name, value in fields.items() if value is not None})
        webhook |= {name: value for name, value in msgspec.to_builtins(parsed).items() if name in changes}
        webhook["modifiedAt"] = stamp()
        self._documents.save("webhook", webhook)
        return webhook

    def delete(self, id_: str) -> None:
        """Forget a webhook."""
        self._documents.delete("webhook", id_)

    def note_dispatch(self, webhook_id: str, status: str, finished_at: str | None) -> None:
        """Show the newest dispatch on its webhook."""
        if webhook := self._documents.get("webhook", webhook_id):
            webhook["lastDispatch"] = {"status": status, "finishedAt": finished_at, "removedAt": None}
            if finished_at is None:
                webhook["stats"]["totalDispatches"] += 1
            self._documents.save("webhook", webhook)

    def _add(self, webhook: AdHocWebhook, condition: Document, target: str, more: Document) -> Document:
        key = webhook.idempotency_key
        if key and (known := self._documents.named("webhook", key)):
            return known
        now = stamp()
        document: dict[str, Any] = {
            "id": new_id(),
            "createdAt": now,
            "modifiedAt": now,
            "userId": self._user_id,
            **{name: value for name, value in msgspec.to_builtins(webhook).items() if name in _EDITABLE},
            "ignoreSslErrors": bool(webhook.ignore_ssl_errors),
            "doNotRetry": bool(webhook.do_not_retry),
            "shouldInterpolateStrings": bool(webhook.should_interpolate_strings),
            "condition": condition,
            "isEnabled": True,
            "actionType": "HTTP_REQUEST",
            "isApifyIntegration": False,
            "lastDispatch": None,
            "stats": {"totalDispatches": 0},
            **more,
        }
        self._documents.put("webhook", document, created=now, owner=target, name=key)
        return document


_LASTING_FIELDS = {field.encode_name for field in msgspec.structs.fields(LastingWebhook)}
_EDITABLE = (
    *("eventTypes", "requestUrl", "payloadTemplate", "headersTemplate", "shouldInterpolateStrings", "idempotencyKey"),
    *("ignoreSslErrors", "doNotRetry", "condition", "description"),
)
