"""One message to one address, through apprise. What happened is read from what apprise logs: all it returns is yes or
no."""

import asyncio
import hashlib
import logging
import re
from collections.abc import Iterable
from typing import NoReturn

import apprise
from apprise import NotifyFormat
from apprise.logger import NotifyLogEntry
from apprise.plugins.base import NotifyBase
from pydantic import SecretStr

from config.addresses import is_underneath
from config.contracts.errors import Permanent, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from workers.sinks._notify_media import CHAT, HTML, PLAIN, Medium

#: What programs read, and e-mail without HTML: these show no markup.
_PLAIN = frozenset({"NotifyJSON", "NotifyXML", "NotifyForm", "NotifyEmail"})
_FAR = re.compile(r"Response Details|Socket Exception")
_STATUS = re.compile(r"error=(\d{3})\b")
_SMTP = re.compile(r"\((\d{3}), |was refused: (\d{3}) ")
#: What apprise logs of a connection that was never made: nothing was sent.
_NEVER = re.compile(
    r"NewConnectionError|ConnectTimeout|NameResolutionError|SSLError|Connection refused|Errno 111|gaierror|"
    r"Name or service not known|No address|name resolution|CERTIFICATE_VERIFY_FAILED"
)
#: Errors that Slack's Web API answers with HTTP 200 (docs.slack.dev/reference/methods/chat.postMessage).
_REFUSED = re.compile(
    r'"error":\s*"(?:invalid_auth|not_authed|token_revoked|token_expired|account_inactive|missing_scope|'
    r'channel_not_found|not_in_channel|is_archived)"'
)
_AGAIN = frozenset({408, 409, 423, 425, 429})
_ASSET = apprise.AppriseAsset(
    app_id="Runrelay",
    app_desc="Runrelay",
    app_url="",
    http_redirects=False,
    image_url_mask="",
    image_url_logo="",
    secure_logging=True,
    plugin_paths=(),
)

# Its debug lines hold addresses and tokens: they are read here, and go nowhere else.
_log = logging.getLogger("apprise")
_log.propagate = False
_log.setLevel(logging.DEBUG)
_log.addHandler(logging.NullHandler())


class Unsure(Transient):
    """Nobody knows whether it arrived."""


class Address:
    """Somebody who is told: one URL of apprise.

    Attributes:
        digest: names it without telling it.
        medium: how it shows text.
        room: characters that fit into a message.
        subject: characters of a title that stands apart from the text; 0 if it is a line of it.
        server: host and port that it connects to, as far as the URL says so.
    """

    def __init__(self, url: SecretStr) -> None:
        self._url = url.get_secret_value()
        service = loaded(self._url)
        self.name = str(service.service_name)
        self.digest = hashlib.sha256(self._url.encode()).hexdigest()[:16]
        self.medium = _medium(service)
        self.room, self.subject = service.body_maxlen, service.title_maxlen
        self.server, self.is_mail = _server(service), hasattr(service, "smtp_host")

    async def tell(self, title: str, body: str, id: str, timeout: float) -> None:
        """Send it. Raises Unsure, Transient, Unauthorized or Permanent; no message tells the URL."""
        notifying = apprise.Apprise(asset=_ASSET)
        notifying.add(self._prepared(id, timeout))
        shape = NotifyFormat.HTML if self.medium is HTML else None
        try:
            async with asyncio.timeout(timeout + 5):
                result = await notifying.async_notify(
                    body=body, title=title, body_format=shape, timeout=timeout, log_level=logging.DEBUG
                )
        except TimeoutError:
            raise Unsure(Reason.TARGET_UNAVAILABLE, f"{self.name} gave no answer in {timeout:g} s") from None
        if not result:
            self._judge((entry for one in result for entry in one.logs()), timeout)

    def _prepared(self, id: str, timeout: float) -> NotifyBase:
        """A service of its own for each message: it keeps state, and works in a thread."""
        service = loaded(self._url)
        service.socket_connect_timeout = service.socket_read_timeout = timeout
        headers = getattr(service, "headers", None)
        if isinstance(headers, dict):
            headers.setdefault("X-Runrelay-Message", id)
        return service

    def _judge(self, logged: Iterable[NotifyLogEntry], timeout: float) -> NoReturn:
        """Of the debug lines only those that tell of the far side: others repeat the message, which says anything."""
        lines = "\n".join(one.message for one in logged if one.level != "DEBUG" or _FAR.match(one.message))
        if status := _STATUS.search(lines):
            raise _of_http(self.name, int(status[1]), lines)
        if self.is_mail and (code := _SMTP.search(lines)):
            raise _of_smtp(self.name, int(code[1] or code[2]))
        if _NEVER.search(lines):
            raise Transient(
                Reason.TARGET_UNAVAILABLE, f"{self.name} cannot be reached: mend its address in `url`, or wait"
            )
        raise Unsure(Reason.TARGET_UNAVAILABLE, f"{self.name} gave no answer that counts in {timeout:g} s")


def loaded(url: str) -> NotifyBase:
    """Raises ValueError, which does not tell the URL."""
    service = apprise.Apprise.instantiate(url, asset=_ASSET)
    if not isinstance(service, NotifyBase):
        schema = re.match(r"([a-z0-9]{1,32})://", url, re.IGNORECASE)
        which = f"{schema[1].lower()}://" if schema else "text without a scheme"
        raise ValueError(
            f"apprise cannot use this {which} address: see https://appriseit.com/services/ for how the URL of each "
            "service is written"
        )
    if is_underneath(service.host or ""):
        raise ValueError("link-local and metadata addresses are never written to")
    return service


def _medium(service: NotifyBase) -> Medium:
    shape = service.resolve_format(None)
    if shape is NotifyFormat.HTML:
        return HTML
    return PLAIN if type(service).__name__ in _PLAIN else CHAT


def _server(service: NotifyBase) -> tuple[str, int] | None:
    """Where it connects to, of those that are told a host."""
    host = getattr(service, "smtp_host", None) or (service.host if type(service).__name__ in _PLAIN else None)
    default = 443 if getattr(service, "secure", False) else 80
    return (str(host), int(service.port or default)) if host else None


def _of_http(name: str, status: int, lines: str) -> WorkError:
    said = f"{name} answered HTTP {status}"
    if status in {401, 403, 404, 410} or _REFUSED.search(lines):
        cure = "its webhook or token is wrong or was withdrawn: make a new one and put it into `url`"
        return Unauthorized(Reason.TOKEN_REFUSED, f"{said}: {cure}")
    if 200 <= status < 300:
        return Transient(Reason.TARGET_UNAVAILABLE, f"{said}, and that it did not take the message")
    if status in {502, 504}:
        return Unsure(Reason.TARGET_UNAVAILABLE, said)
    if status in _AGAIN or status >= 500:
        return Transient(Reason.TARGET_UNAVAILABLE, said)
    if 300 <= status < 400:
        return Unauthorized(Reason.TARGET_REFUSED, f"{said}: redirects are not followed, mend `url`")
    return Permanent(Reason.ITEM_REFUSED, f"{said}: it does not take this message; shorten `text` or mend `url`")


def _of_smtp(name: str, code: int) -> WorkError:
    """Reply codes of RFC 5321 section 4.2 and, for authentication, RFC 4954 section 6."""
    said = f"{name}: the mail server answered {code}"
    if code in {530, 534, 535, 538}:
        return Unauthorized(Reason.TOKEN_REFUSED, f"{said}: user or password in `url` is wrong")
    if code in {552, 554}:
        return Permanent(Reason.ITEM_REFUSED, f"{said}: it does not take this message")
    if code >= 500:
        return Unauthorized(Reason.TARGET_REFUSED, f"{said}: it refuses the sender or recipient in `url`")
    return Transient(Reason.TARGET_UNAVAILABLE, said)
