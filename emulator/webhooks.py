"""Webhook definitions: ad-hoc ones from a query parameter, lasting ones from the API (Apify, "Webhooks")."""

import base64
import binascii
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from emulator.documents import Document, Documents, Filter
from emulator.errors import invalid_input, invalid_value, not_found
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
        """The id it watches: the narrowest one given."""
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
    if not webhook.condition.target:
        raise invalid_input("The webhook is not valid: condition must name an Actor, a task or a run.")
    return webhook


class Webhooks:
    """All webhooks. An `idempotencyKey` belongs to one webhook of an account for good."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def add_ad_hoc(self, webhook: AdHocWebhook, run: Document) -> Document:
        """Bind a webhook to one run, unless its idempotency key is taken."""
        return self._add(webhook, run["userId"], {"actorRunId": run["id"]}, {"isAdHoc": True})

    def add(self, webhook: LastingWebhook, user_id: str) -> Document:
        """Keep a webhook of `POST /v2/webhooks`; a known idempotency key gives the one that has it."""
        more = {"isAdHoc": bool(webhook.is_ad_hoc), "description": webhook.description}
        return self._add(webhook, user_id, _given(webhook.condition), more)

    def get(self, id_: str) -> Document:
        """One webhook. Raises: ApiError 404."""
        if webhook := self._documents.get("webhook", id_):
            return webhook
        raise not_found("Webhook")

    def matching(self, event: str, run: Document) -> list[Document]:
        """The webhooks of the run's account that want this event of this run."""
        targets = [run[name] for name in ("id", "actId", "actorTaskId") if run[name]]
        where = Filter().among("owner", targets).add("json_extract(body, '$.userId')=?", run["userId"])
        return [webhook for webhook in self._documents.all("webhook", where) if event in webhook["eventTypes"]]

    def update(self, webhook: Document, changes: Document) -> Document:
        """Change the given fields only. Raises: ApiError 400 if the result is not a valid webhook."""
        # Null means "as it was" where a webhook cannot do without, and "none" where it can.
        changes = {name: changes[name] for name in _EDITABLE & changes.keys()}
        changes = {name: value for name, value in changes.items() if value is not None or name not in _REQUIRED}
        fields = {name: webhook.get(name) for name in _EDITABLE} | changes
        parsed = parse_lasting({name: value for name, value in fields.items() if value is not None})
        webhook |= changes | {name: bool(changes[name]) for name in _SWITCHES & changes.keys()}
        webhook["condition"] = _given(parsed.condition)
        webhook["modifiedAt"] = stamp()
        self._documents.save("webhook", webhook)
        self._documents.reassign("webhook", webhook["id"], parsed.condition.target)
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

    def _add(self, webhook: AdHocWebhook, user_id: str, condition: Document, more: Document) -> Document:
        name = f"{user_id}~{webhook.idempotency_key}" if webhook.idempotency_key else None
        if name and (known := self._documents.named("webhook", name)):
            return known
        now = stamp()
        document: dict[str, Any] = {
            "id": new_id(),
            "createdAt": now,
            "modifiedAt": now,
            "userId": user_id,
            "eventTypes": webhook.event_types,
            "requestUrl": webhook.request_url,
            "payloadTemplate": webhook.payload_template,
            "headersTemplate": webhook.headers_template,
            "idempotencyKey": webhook.idempotency_key,
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
        self._documents.put("webhook", document, created=now, owner=next(iter(condition.values())), name=name)
        return document


def short(webhook: Document) -> Document:
    """A webhook as lists show it."""
    return {name: value for name, value in webhook.items() if name not in _LONG_ONLY}


def _given(condition: Condition) -> Document:
    """The narrowest id stands first: it is the one that is watched."""
    ids = {"actorRunId": condition.actor_run_id, "actorTaskId": condition.actor_task_id, "actorId": condition.actor_id}
    return {name: id_ for name, id_ in ids.items() if id_}


_LASTING_FIELDS = {field.encode_name for field in msgspec.structs.fields(LastingWebhook)}
_EDITABLE = _LASTING_FIELDS - {"idempotencyKey"}
_REQUIRED = {"eventTypes", "requestUrl", "condition"}
_SWITCHES = {"ignoreSslErrors", "doNotRetry", "shouldInterpolateStrings", "isAdHoc"}
_LONG_ONLY = {"payloadTemplate", "headersTemplate", "idempotencyKey", "description"}
