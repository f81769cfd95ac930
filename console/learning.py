"""How a captured webhook may have been signed: the usual schemes, tried with the secrets of its source.

Whether it is too old is not asked, for it is.
"""

import base64
import hmac
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice, product

from pydantic import ValidationError

from config.contracts.errors import Refused
from config.webhooks.captured import Captured, hidden
from config.webhooks.options import FIELD, Hmac, StandardWebhooks, Token, key_of
from config.webhooks.signatures import PART, STANDARD, SVIX, Signed
from config.wire.moments import seconds

Verify = Token | Hmac | StandardWebhooks

#: Most values of one webhook that are taken for its time, or for its id.
MOST_MOMENTS, MOST_IDS = 8, 12
DIGESTS = ("sha256", "sha1", "sha512")
#: What is signed, by what is known beside the body.
PLAIN = ("{body}",)
WITH_TIME = ("{time}.{body}", "{time}:{body}", "{time}{body}", "v0:{time}:{body}")
WITH_ID = ("{id}.{body}",)
WITH_BOTH = ("{id}.{time}.{body}", "{time}.{id}.{body}")

_EVERYDAY = re.compile(
    r"accept.*|connection|content-.*|host|user-agent|transfer-encoding|x-forwarded-.*|x-real-ip|forwarded|via|date"
)
_BETWEEN = re.compile(r"[,;\s]")
_ID = re.compile(r"[^,;\s*]{1,128}")
_UNMISTAKABLE = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
#: Unix seconds below which nothing is a moment of our days.
_LONG_AGO = 1e9


@dataclass(frozen=True)
class Learnt:
    """What trying led to.

    Attributes:
        verify: what fits; None if nothing does.
        tried: how many ways.
    """

    verify: Verify | None
    tried: int


@dataclass(frozen=True)
class _Said:
    """A value of the head, by the name a template has for it. `header`: the one it is a part of."""

    name: str
    value: str
    header: str = ""


@dataclass(frozen=True)
class _Trial:
    """What may have been signed."""

    template: str
    time: _Said | None = None
    id: _Said | None = None

    @property
    def said(self) -> dict[str, _Said]:
        return {name: said for name, said in (("time", self.time), ("id", self.id)) if said}

    def message(self, body: bytes) -> bytes:
        values = {name: said.value.encode("latin-1") for name, said in self.said.items()} | {"body": body}
        pieces = FIELD.split(self.template)
        return b"".join(values[piece] if odd else piece.encode() for piece, odd in zip(pieces, cycle((0, 1))))

    def form(self, place: Mapping[str, str], digest: str) -> Hmac | None:
        """As the file would say it; None if it could not."""
        names = {name: said.name for name, said in self.said.items()} | {"body": "body"}
        signed = FIELD.sub(lambda found: f"{{{names[found[1]]}}}", self.template)
        parts = {said.header for said in self.said.values()} - {""}
        if parts and (parts != {place["header"]} or "part" not in place):
            return None
        asked = {"scheme": "hmac", **place, "digest": digest, "signed": signed, "timestamp": names.get("time")}
        try:
            return Hmac.model_validate(asked)
        except ValidationError:
            return None


def learnt(one: Captured, secrets: Sequence[str]) -> Learnt:
    """Signatures are tried only if the body is whole."""
    tried = 0
    for verify in _ways(one, secrets):
        tried += 1
        if verify is not None:
            return Learnt(verify, tried)
    return Learnt(None, tried)


def block(verify: Verify) -> str:
    """`verify:` as it stands in the file, below `webhook:`."""
    said = verify.model_dump(exclude_defaults=True) | {"scheme": verify.scheme}
    if list(said) == ["scheme"]:
        return f"verify: {verify.scheme}"
    lines = [f"  {name}: {_written(value)}" for name, value in {"scheme": "", **said}.items()]
    return "\n".join(["verify:", *lines])


def _written(value: str) -> str:
    return value if _UNMISTAKABLE.fullmatch(value) else json.dumps(value, ensure_ascii=False)


def _ways(one: Captured, secrets: Sequence[str]) -> Iterator[Verify | None]:
    """One of each that is tried: the scheme if it fits, else None."""
    yield from _tokens(one, secrets)
    if one.whole:
        headers = dict(reversed(one.headers))
        for secret in secrets:
            yield _standard(headers, one.body, secret)
        for secret, digest in product(secrets, DIGESTS):
            yield from _hmacs(headers, one.body, secret, digest)


def _tokens(one: Captured, secrets: Sequence[str]) -> Iterator[Token | None]:
    """Its value is not kept, but that it was a secret of the file, and how long."""
    held = any(one.path.endswith(f"/{hidden(secret)}") for secret in secrets)
    yield Token(scheme="token") if one.in_path and held else None
    for name, value in one.headers:
        own = name != "authorization"
        spelled = {text for secret in secrets for text in (secret, secret.encode().decode("latin-1"))}
        lengths = {hidden(before + text) for text in spelled for before in ("", *(() if own else ("Bearer ",)))}
        fits = name in one.secrets and value in lengths
        yield Token(scheme="token", header=name if own else None) if fits else None


def _standard(headers: Mapping[str, str], body: bytes, secret: str) -> StandardWebhooks | None:
    try:
        key = key_of(secret)
    except ValueError:
        return None
    return StandardWebhooks(scheme="standard_webhooks") if _fits(STANDARD, key, headers, body, SVIX) else None


def _fits(form: Hmac, key: bytes, headers: Mapping[str, str], body: bytes, aliases: Mapping[str, str]) -> bool:
    timeless = form.model_copy(update={"timestamp": None})
    try:
        Signed([key], timeless, aliases).check(headers, body)
    except Refused:
        return False
    return True


def _hmacs(headers: Mapping[str, str], body: bytes, secret: str, digest: str) -> Iterator[Hmac | None]:
    for trial in _trials(headers):
        made = hmac.new(secret.encode(), trial.message(body), digest).digest()
        forms = (trial.form(place, digest) for place in _places(headers, made))
        yield next((form for form in forms if form and _fits(form, secret.encode(), headers, body, {})), None)


def _trials(headers: Mapping[str, str]) -> Iterator[_Trial]:
    said = list(_said(headers))
    times = list(islice((one for one in said if _is_moment(one.value)), MOST_MOMENTS))
    ids = list(islice((one for one in said if one not in times and _ID.fullmatch(one.value)), MOST_IDS))
    yield from (_Trial(template) for template in PLAIN)
    yield from (_Trial(template, time) for template, time in product(WITH_TIME, times))
    yield from (_Trial(template, None, id) for template, id in product(WITH_ID, ids))
    yield from (_Trial(template, time, id) for template, time, id in product(WITH_BOTH, times, ids))


def _said(headers: Mapping[str, str]) -> Iterator[_Said]:
    for header, value in headers.items():
        if not _EVERYDAY.fullmatch(header):
            yield _Said(header, value)
            yield from (_Said(name.lower(), part, header) for name, part in PART.findall(value))


def _is_moment(value: str) -> bool:
    try:
        return seconds(value) > _LONG_AGO
    except (ValueError, OverflowError):
        return False


def _places(headers: Mapping[str, str], made: bytes) -> Iterator[dict[str, str]]:
    """Where in the head a hash stands, as options of `hmac`."""
    plain = base64.b64encode(made).decode().rstrip("=")
    writings = (("hex", made.hex()), ("base64", plain), ("base64", plain.translate(str.maketrans("+/", "-_"))))
    for (header, value), (encoding, text) in product(headers.items(), writings):
        at = (value.lower() if encoding == "hex" else value).find(text)
        if at >= 0:
            place, lead = {"header": header, "encoding": encoding}, _BETWEEN.split(value[:at])[-1]
            as_part = place | {"part": lead.partition("=")[0]}
            as_prefix = place | {"prefix": lead}
            yield from (as_part, as_prefix) if len(PART.findall(value)) > 1 else (as_prefix, as_part)
