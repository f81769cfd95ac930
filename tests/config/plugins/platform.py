"""A source that only keeps what it was given."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretBytes, SecretStr

from config.units import Duration, Rate, Share


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Webhook(Options):
    secrets: tuple[SecretStr, ...]
    allow: str | tuple[int, ...] = "any"


class Config(Options):
    token: SecretStr
    key: SecretBytes | None = None
    webhook: Webhook | None = Field(None, examples=['webhook: {secrets: ["${HOOK_SECRET}"]}'])
    settle: Duration = 10.0
    pace: Rate | None = None
    loss: Share = 0.0
    labels: dict[str, SecretStr] = {}


@dataclass(frozen=True)
class Platform:
    name: str
    config: Config
    success: str = "SUCCEEDED"


def connect(name: str, config: Config) -> Any:
    if config.token.get_secret_value() == "refuse-me":
        raise ValueError(f"the token {config.token.get_secret_value()} is of another platform")
    return Platform(name, config)
