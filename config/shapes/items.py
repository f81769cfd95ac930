"""What is read of a run, what becomes of it, and what it must be like."""

import json
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from config.language.expression import Expression
from config.language.function import Function
from config.language.schema import JsonSchema
from config.route import CHANGES, Change, Only, Read, Transform
from config.shapes.words import FieldName, FieldNames, Shape, Targets, Texts, Usd, listed
from config.units import Share


def _expression(value: object) -> object:
    """A number or a truth value means itself."""
    return json.dumps(value) if isinstance(value, bool | int | float) else value


Computed = Annotated[
    Expression,
    BeforeValidator(_expression),
    WithJsonSchema({"type": ["string", "number", "boolean"], "format": "jinja2"}),
]


def _plain_name(name: str) -> str:
    """In a list of what stays, people write what they would compute from."""
    if name.startswith("item.") and len(name) > len("item."):
        inner, short = name.removeprefix("item."), name.rpartition(".")[2]
        plain = f"`{short}`, or " if inner == short else ""
        raise ValueError(f"a list holds names: write {plain}`{{{short}: {name}}}`")
    return name


ComputedFields = Annotated[dict[FieldName, Computed], Field(min_length=1)]
KeptFields = Annotated[list[Annotated[FieldName, AfterValidator(_plain_name)]], Field(min_length=1)]


class OnlyShape(Shape):
    change: Annotated[tuple[Change, ...], BeforeValidator(listed), Field(min_length=1)] = Field(
        CHANGES,
        description="What is sent; what an item is, is written into it as `_change`.",
        examples=["change: [new, changed]"],
    )
    key: FieldNames = Field(
        description="Fields that tell which item is the same as before.",
        examples=["key: [url]"],
    )
    max_keys: Annotated[int, Field(ge=1, le=10_000_000)] = Field(
        1_000_000,
        description="So many items are remembered; a run with more ends as a dead letter.",
        examples=["max_keys: 1000000"],
    )

    def only(self) -> Only:
        return Only(self.change, self.key, self.max_keys)


class TransformShape(Shape):
    """What `read` and a target may do with what passes."""

    where: Expression | None = Field(
        None,
        description="A condition: what it does not hold for is left out.",
        examples=["where: item.price and item.currency in ['EUR', 'USD']"],
    )
    transform: Function | None = Field(
        None,
        description="A Python function of yours, `package.module:function`. It is given the item and the run, and "
        "returns the item to go on with, or None to leave it out. A call that does not return holds a thread of the "
        "worker for good: the delivery is tried again, and waits until the call has returned or the worker restarts.",
        examples=["transform: acme.products:clean"],
    )
    fields: ComputedFields | KeptFields | None = Field(
        None,
        description="What the item becomes: names, each with an expression; or a list of the fields that stay.",
        examples=["fields: {url: item.url, price: item.price | number}", "fields: [url, price]"],
    )
    set: ComputedFields | None = Field(
        None,
        description="Fields that are added, or replaced, each with an expression.",
        examples=["set: {seen: run.finishedAt}"],
    )
    omit: FieldNames = Field((), description="Fields that are dropped.", examples=["omit: [html]"])
    strict: bool = Field(
        False,
        description="Whether an item with a value that does not fit an expression is rejected. Otherwise it does not "
        "match `where`, and a field of it becomes null.",
        examples=["strict: true"],
    )
    only: OnlyShape | None = Field(
        None,
        description="Only items that are not as they were when they were last delivered.",
        examples=["only: {change: [new, changed], key: [url]}"],
    )

    def transformation(self) -> Transform:
        return Transform(
            where=self.where,
            function=self.transform,
            fields=self.fields if isinstance(self.fields, dict) else None,
            keep=tuple(self.fields) if isinstance(self.fields, list) else (),
            set=self.set or {},
            omit=self.omit,
            strict=self.strict,
        )


class ReadShape(TransformShape):
    dataset: Texts = Field(
        (),
        description="`default`, an alias of the run's storages, a list, or `'*'` for all. With more than one, a `path` "
        "must contain `{{ dataset }}`.",
        examples=["dataset: default", "dataset: [default, reviews]"],
        json_schema_extra={"default": "default"},
    )
    clean: bool = Field(
        False, description="Drops empty items, and fields whose name begins with `#`.", examples=["clean: true"]
    )
    records: Texts = Field(
        (),
        description="Keys of the key-value store, with `*`. A record of more than 1 GiB ends the delivery as a dead "
        "letter (`source_refused`).",
        examples=['records: ["SCREENSHOT-*", OUTPUT]'],
    )
    requests: bool = Field(
        False, description="Whether what the run's own request queue holds is read.", examples=["requests: true"]
    )
    log_tail: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        None, description="So many of the last lines of the log, up to 10000.", examples=["log_tail: 20"]
    )

    def read(self) -> Read:
        nothing_named = not (self.dataset or self.records or self.requests or self.log_tail)
        dataset = ("default",) if nothing_named else self.dataset
        return Read(
            dataset,
            self.clean,
            self.records,
            self.log_tail or 0,
            self.requests,
            self.transformation(),
            self.only.only() if self.only else None,
        )


class ItemsShape(Shape):
    min: Annotated[int, Field(ge=0)] | None = Field(None, description="No fewer than these.", examples=["min: 100"])
    max: Annotated[int, Field(ge=0)] | None = Field(None, description="No more than these.", examples=["max: 100000"])
    drop_from_usual: Share | None = Field(
        None,
        description="By so much fewer than the route's usual number they may be at most.",
        examples=["drop_from_usual: 50%"],
    )

    @model_validator(mode="after")
    def _can_be(self) -> "ItemsShape":
        if not self.model_fields_set:
            raise ValueError("says nothing: give `min`, `max` or `drop_from_usual`")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("no run can have that: `min` is more than `max`")
        return self


class CostShape(Shape):
    max_usd: Usd | None = Field(None, description="Dollars for the run.", examples=["max_usd: 5"])
    max_usd_per_1000: Usd | None = Field(
        None, description="Dollars for each thousand items.", examples=["max_usd_per_1000: 0.5"]
    )

    @model_validator(mode="after")
    def _says_something(self) -> "CostShape":
        if not self.model_fields_set:
            raise ValueError("says nothing: give `max_usd` or `max_usd_per_1000`")
        return self


class ExpectShape(Shape):
    """What a run must be like; `else` has targets, which the sinks' modules know."""

    items: ItemsShape | None = Field(
        None, description="How many items.", examples=["items: {min: 100, drop_from_usual: 50%}"]
    )
    filled: Annotated[dict[FieldName, Share], Field(min_length=1)] | None = Field(
        None,
        description="Fields, and in how many of the items each must be neither missing, null, nor empty.",
        examples=["filled: {url: 100%, price: 90%}"],
    )
    schema_: JsonSchema | None = Field(
        None,
        alias="schema",
        description="A JSON Schema that every item must fit: a mapping, or JSON text.",
        examples=["schema: {required: [url]}"],
    )
    cost: CostShape | None = Field(
        None, description="What the run may cost.", examples=["cost: {max_usd: 5, max_usd_per_1000: 0.5}"]
    )
    else_: Targets = Field(
        [],
        alias="else",
        description="Targets that are told of a run that is held.",
        examples=["else: [{sink: oncall}]"],
    )

    @model_validator(mode="after")
    def _says_something(self) -> "ExpectShape":
        if not {"items", "filled", "schema_", "cost"} & self.model_fields_set:
            raise ValueError("expects nothing: give `items`, `filled`, `schema` or `cost`")
        return self
