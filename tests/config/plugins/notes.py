"""A sink that takes the run only."""

from typing import Any

from pydantic import BaseModel, ConfigDict

TAKES = frozenset({"run"})
ALERTS = True


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Target(Config):
    text: str = ""


def connect(config: Any, around: Any, /) -> Any:
    raise NotImplementedError
