"""How lists go on, page by page: `paging` of `type: generic`."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from config.webhooks.options import Options
from config.wire.forms import Form
from config.wire.places import Place

Parameter = Annotated[str, Form(r"[!-~]{1,100}", "the name of a parameter, in ASCII without blanks")]
Size = Annotated[int, Field(ge=1, le=10_000)]


class Offset(Options):
    """By how many rows are left out; an empty page is the end."""

    style: Literal["offset"]
    offset: Parameter = Field("offset", description="The parameter for how many are left out.")
    limit: Parameter = Field("limit", description="The parameter for how many are wanted.")
    size: Size = Field(100, description="How many are asked for at once.")


class PageNumber(Options):
    """By number; an empty page is the end."""

    style: Literal["page"]
    page: Parameter = Field("page", description="The parameter for the page.")
    first: int = Field(1, ge=0, le=1, description="Number of the first page.")
    limit: Parameter | None = Field("limit", description="The parameter for how many are wanted.")
    size: Size = Field(100, description="How many are asked for at once.")


class Cursor(Options):
    """By what each answer says of the next page."""

    style: Literal["cursor"]
    param: Parameter = Field("cursor", description="The parameter for the cursor.")
    next: Place = Field(
        description="Where the answer has the next one; nothing, an empty text, 0 or false means the end."
    )
    limit: Parameter | None = Field(None, description="The parameter for how many are wanted.")
    size: Size = Field(100, description="How many are asked for at once.")


class Link(Options):
    """By the `Link` header (RFC 8288), `rel="next"`; its address must lie below `api.url`."""

    style: Literal["link"]
    limit: Parameter | None = Field(None, description="The parameter for how many are wanted.")
    size: Size = Field(100, description="How many are asked for at once.")


class Next(Options):
    """By the address of the next page, which must lie below `api.url`."""

    style: Literal["next"]
    at: Place = Field(
        "next",
        description="Where the answer has the address of the next page; nothing, an empty text, 0 or false means the "
        "end.",
    )
    limit: Parameter | None = Field(None, description="The parameter for how many are wanted.")
    size: Size = Field(100, description="How many are asked for at once.")


Way = Offset | PageNumber | Cursor | Link | Next


def _apart(way: Way) -> Way:
    names = [getattr(way, key, None) for key in ("offset", "page", "param", "limit")]
    if twice := {name for name in names if name and names.count(name) > 1}:
        raise ValueError(f"`{min(twice)}` cannot be two parameters: how far to go, and how many are wanted")
    return way


Paging = Annotated[
    Annotated[Way, Field(discriminator="style")],
    BeforeValidator(lambda written: {"style": written} if isinstance(written, str) else written),
    AfterValidator(_apart),
]
