"""A sink that takes what nobody sends."""

from typing import Any

from pydantic import BaseModel


class Config(BaseModel):
    pass


class Target(BaseModel):
    pass


TAKES = frozenset({"items", "sounds"})


def connect(config: Any, around: Any, /) -> Any:
    raise NotImplementedError
