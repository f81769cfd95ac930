"""A sink that takes items only."""

from typing import Any

from pydantic import BaseModel, ConfigDict

TAKES = frozenset({"items"})


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Target(Config):
    text: str = ""


def connect(config: Any, around: Any, /) -> Any:
    raise NotImplementedError
