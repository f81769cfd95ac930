"""A sink that takes everything and has a templated path."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, SecretStr, field_validator

from config.units import Duration, Size

TAKES = frozenset({"items", "records", "run", "log"})


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Config(Options):
    base: str
    password: SecretStr | None = None
    timeout: Duration = Field(30.0, gt=0, le=600)
    chunk: Size = Field(1024, ge=1024)
    kind: Literal["steel", "wood"] = "wood"
    colour: str = "red"
    link: HttpUrl | None = None

    @field_validator("colour")
    @classmethod
    def _is_a_colour(cls, colour: str) -> str:
        if colour != "red":
            raise ValueError(f"No shelf is {colour}")
        return colour


class Target(Options):
    path: str = "{{ run.id }}"
    depth: int = 1


def connect(config: Any, around: Any, /) -> Any:
    raise NotImplementedError
