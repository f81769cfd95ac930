"""Which runs."""

from typing import Any

from pydantic import Field, model_validator

from config.route import When
from config.shapes.words import Shape, Texts, Usd


class CostRangeShape(Shape):
    min_usd: Usd | None = Field(None, description="At least so many dollars.", examples=["min_usd: 1"])
    max_usd: Usd | None = Field(None, description="At most so many dollars.", examples=["max_usd: 5"])


class FactsShape(Shape):
    source: Texts = Field((), description="A name under `sources`.", examples=["source: apify"])
    actor: Texts = Field(
        (),
        description="What ran: at Apify the Actor, as `owner/name`, `owner~name` or its id.",
        examples=['actor: ["acme/shop-*", apify/web-scraper]'],
    )
    task: Texts = Field(
        (),
        description="The saved task that started it, as `owner/name`, `owner~name` or its id.",
        examples=["task: acme/nightly"],
    )
    build: Texts = Field((), description="The Actor's build: its number, or a tag.", examples=["build: latest"])
    schedule: Texts = Field(
        (), description="The schedule that started it: its name or its id.", examples=["schedule: every-night"]
    )
    status: Texts = Field(
        (), description="How it ended, in the platform's own word.", examples=["status: [SUCCEEDED, TIMED-OUT]"]
    )
    origin: Texts = Field(
        (), description="How it was started, in the platform's own word.", examples=["origin: SCHEDULER"]
    )
    cost: CostRangeShape | None = Field(
        None,
        description="What it cost; a run whose cost is not known fits no bound.",
        examples=["cost: {min_usd: 1}"],
    )

    def facts(self) -> dict[str, Any]:
        """The same in the words of `When`."""
        cost = self.cost.model_dump() if self.cost else {}
        return {**self.model_dump(exclude={"cost", "not_"}), **cost}


class NotShape(FactsShape):
    @model_validator(mode="after")
    def _says_something(self) -> "NotShape":
        if not self.model_fields_set:
            raise ValueError("is empty, so it fits every run and nothing would match: leave it out")
        return self


class WhenShape(FactsShape):
    not_: NotShape | None = Field(
        None,
        alias="not",
        description="The same keys: a run that all of them fit is not wanted.",
        examples=["not: {origin: [DEVELOPMENT, TEST]}"],
    )

    def when(self) -> When:
        unwanted = When(**self.not_.facts()) if self.not_ else None
        return When(**self.facts(), not_=unwanted)
