"""How runs of a source are heard of: where its webhooks go, how each proves itself, and whether somebody looks."""

from dataclasses import dataclass

from config.contracts.source import Listing, Source
from config.route import SourceSpec
from config.settings import Settings
from config.webhooks.options import Hmac, StandardWebhooks, Token, Webhook
from console.options import amount


@dataclass(frozen=True, slots=True)
class Door:
    """Of one source.

    Attributes:
        path: below the address of the receiver.
        url: the whole address; empty if nobody said where the receiver is reached.
        verified: how a webhook is known to be the platform's; empty if none is let in.
        reconcile: how often somebody looks for runs that no webhook announced, such as `15m`; empty: nobody does.
        api: the address of the platform's; empty if it has none.
    """

    path: str
    url: str
    verified: str
    reconcile: str
    api: str


def door(settings: Settings, spec: SourceSpec, source: Source) -> Door:
    path, looks = f"/webhooks/{spec.name}", source.reconcile if isinstance(source, Listing) else None
    base = settings.public_url.rstrip("/")
    every = amount(looks.every, "duration") if looks else ""
    return Door(path, f"{base}{path}" if base else "", verified(spec), every, source.manners.base_url)


def verified(spec: SourceSpec) -> str:
    """How its webhooks are verified, in words; a module of somebody's own may have a way of its own."""
    webhook = getattr(spec.config, "webhook", f"as {spec.type} does it")
    return _proof(webhook.verify) if isinstance(webhook, Webhook) else str(webhook or "")


def _proof(verify: Token | Hmac | StandardWebhooks) -> str:
    match verify:
        case Token(header=None):
            return "token: a secret in `Authorization`, or as the last part of the path"
        case Token(header=header):
            return f"token: a secret in `{header}`"
        case Hmac():
            age = f", not older than {amount(verify.tolerance, 'duration')}" if verify.timestamp else ""
            return f"hmac: {verify.digest} of what is sent, in `{verify.header}`{age}"
    return f"standard_webhooks: a signature not older than {amount(verify.tolerance, 'duration')}"
