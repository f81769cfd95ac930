"""Who may come in at one source: by address, by secret, by signature."""

from collections.abc import Mapping, Sequence

from config.contracts.source import Capture
from config.webhooks.options import Hmac, StandardWebhooks, Token, Webhook
from config.webhooks.signatures import Signed, standard
from config.webhooks.verify import Addresses, StaticSecrets


class Guard:
    """The door of a source, as its `webhook` block says. Without the block nobody comes in.

    networks: what words of the platform's own mean under `allow_ips`.
    """

    def __init__(self, webhook: Webhook | None, networks: Mapping[str, Sequence[str]] | None = None) -> None:
        self.verify: Token | Hmac | StandardWebhooks = webhook.verify if webhook else Token(scheme="token")
        self.capture: Capture | None = webhook.capture.capture if webhook and webhook.capture else None
        allowed = webhook.allow_ips if webhook else "any"
        self._addresses = Addresses((networks or {}).get(allowed, ()) if isinstance(allowed, str) else allowed)
        written = (secret.get_secret_value() for secret in (webhook.secrets if webhook else ()))
        self._secrets = [secret for secret in written if secret]
        self._static = StaticSecrets(self._secrets, header=self._header)
        self._signed = _signed(self.verify, self._secrets)

    @property
    def _header(self) -> str | None:
        """Where the secret itself stands, if not in `Authorization` or the path."""
        return self.verify.header if isinstance(self.verify, Token) else None

    @property
    def secret(self) -> str:
        """The first active secret, for webhooks we set up ourselves; empty if none can bring it along as it is."""
        simple = isinstance(self.verify, Token) and self.verify.header is None
        return next(iter(self._secrets), "") if simple else ""

    @property
    def signs(self) -> bool:
        """Whether a webhook's body is proven, too."""
        return self._signed is not None

    def admit(self, address: str | None) -> None:
        """Raises Refused (address_forbidden)."""
        self._addresses.check(address)

    def authenticate(self, presented: str | None, headers: Mapping[str, str]) -> None:
        """Raises Refused (token_missing, token_invalid; signature_missing, signature_invalid)."""
        if self._signed:
            self._signed.check_head(headers)
        else:
            self._static.check(headers.get(self._header) if self._header else presented)

    def check(self, headers: Mapping[str, str], body: bytes) -> None:
        """Raises Refused (signature_missing, signature_invalid)."""
        if self._signed:
            self._signed.check(headers, body)


class Guarded:
    """What a source's guard does at its door, see `config.contracts.source.Source`."""

    guard: Guard

    @property
    def capture(self) -> Capture | None:
        return self.guard.capture

    def admit(self, address: str | None, /) -> None:
        self.guard.admit(address)

    def authenticate(self, presented: str | None, headers: Mapping[str, str], /) -> None:
        self.guard.authenticate(presented, headers)

    def verify(self, headers: Mapping[str, str], body: bytes, /) -> None:
        self.guard.check(headers, body)


def _signed(verify: Token | Hmac | StandardWebhooks, secrets: Sequence[str]) -> Signed | None:
    """None if the secret itself comes along. Raises ValueError for a secret that is no key."""
    match verify:
        case Hmac():
            return Signed([secret.encode() for secret in secrets], verify)
        case StandardWebhooks():
            return standard(verify, secrets)
    return None
