"""What values of many keys are made of."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

NAME_PATTERN = r"[a-zA-Z][a-zA-Z0-9_-]{0,63}"
NAME_ADVICE = "a name begins with a letter and has at most 64 letters, digits, `_` and `-`"


def listed(value: object) -> object:
    """One value stands for a list of one."""
    return value if isinstance(value, list) else [value]


Text = Annotated[str, Field(min_length=1, max_length=1000)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(listed), Field(min_length=1)]
#: Of an item, top level.
FieldName = Annotated[str, Field(min_length=1, max_length=200)]
FieldNames = Annotated[tuple[FieldName, ...], BeforeValidator(listed), Field(min_length=1)]
Usd = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Block = dict[str, Any]
#: Blocks of targets, whose keys depend on their sinks.
Targets = Annotated[list[Block], Field(min_length=1)]


class Shape(BaseModel):
    """Extra keys are mistakes, values are converted where only one meaning is possible, nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def keys(shape: type[Shape]) -> set[str]:
    """As they are written."""
    return {info.alias or name for name, info in shape.model_fields.items()}


def split(block: Block, shape: type[Shape]) -> tuple[Block, Block]:
    """Those keys of a block that the shape has, and the others."""
    known = keys(shape)
    return (
        {key: value for key, value in block.items() if key in known},
        {key: value for key, value in block.items() if key not in known},
    )
