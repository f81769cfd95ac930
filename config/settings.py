"""Every environment variable Runrelay reads, with its unit and default. After this nothing reads the environment
but `${VAR}` in runrelay.yaml."""

from ipaddress import ip_network
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from config.addresses import mapped
from config.contracts.errors import ConfigInvalid
from config.contracts.problem import Problem

Durability = Literal["strict", "replicated", "relaxed"]


class Settings(BaseSettings):
    """One installation. Names in the environment: upper case; `RUNRELAY_` in front of all but `REDIS_URL`."""

    model_config = SettingsConfigDict(env_prefix="RUNRELAY_", extra="ignore", frozen=True)

    redis_url: str = Field(
        "redis://127.0.0.1:6379/0",
        validation_alias="REDIS_URL",
        pattern=r"^(rediss?|unix)://.",
        description="Where the ledger and the queue live: `redis://`, `rediss://` or `unix://`.",
    )
    config: Path = Field(Path("runrelay.yaml"), description="The routes file.")
    public_url: str = Field(
        "",
        pattern=r"^(https?://[^/?#\s]+.*)?$",
        description="Base URL that platforms reach the receiver at; webhooks point there.",
    )
    spool_dir: Path = Field(
        Path("spool"), description="Folder for files under way: part files and staged uploads. Must survive restarts."
    )
    durability: Durability = Field(
        "strict",
        description="What a 200 promises: `strict` = fsynced by Redis, and confirmed by a replica if it has any; "
        "`replicated` = confirmed by a replica, for a Redis without append-only file or CONFIG; `relaxed` = whatever "
        "Redis does.",
    )
    namespace: str = Field(
        "rr", pattern=r"^[a-z][a-z0-9_-]{0,31}$", description="Prefix of every key; several share one Redis."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="`json` for machines, `console` for people, `auto` = console on a terminal."
    )
    max_jobs: int = Field(
        40,
        ge=1,
        le=1000,
        description="What one worker process works on at the same time; a quarter of it at most for one target.",
    )
    slice_seconds: float = Field(
        100.0,
        gt=0,
        le=110,
        description="Seconds a delivery holds its slot before it checkpoints and queues again.",
    )
    job_timeout: float = Field(
        120.0, gt=0, description="Seconds after which a step that hangs is cancelled; above slice_seconds."
    )
    publish_timeout: float = Field(
        1800.0,
        gt=0,
        description="Seconds that the last step of a delivery may take: converting, uploading or loading all of it.",
    )
    proxies: str = Field(
        "",
        description="Addresses or networks of reverse proxies, separated by commas, whose X-Forwarded-For is believed; "
        "`allow_ips` behind a proxy needs it.",
    )
    receive_timeout: float = Field(
        10.0, gt=0, description="Seconds within which the headers of a webhook must have arrived, and again its body."
    )

    @field_validator("proxies")
    @classmethod
    def _name_networks(cls, proxies: str) -> str:
        """Without this a mistyped one is never met, and `*` lets everybody name the address they come from."""
        for part in _listed(proxies):
            ip_network(part)
        return proxies

    @model_validator(mode="after")
    def _slices_end_in_time(self) -> Self:
        if self.slice_seconds >= self.job_timeout:
            raise ValueError("RUNRELAY_SLICE_SECONDS must be less than RUNRELAY_JOB_TIMEOUT: it ends a turn for good")
        return self

    @property
    def places(self) -> int:
        """How many of a worker's slots one target may hold, and one source with what is to be planned."""
        return max(1, self.max_jobs // 4)

    @property
    def trusted_proxies(self) -> tuple[str, ...]:
        """Each as written, and an IPv4 one also as it looks on a socket that takes IPv6, too."""
        return tuple(spelling for part in _listed(self.proxies) for spelling in (part, *mapped(part)))


def load_settings(**overrides: object) -> Settings:
    """Read the environment; `overrides` (from command-line options) win. None values are left out.

    Raises ConfigInvalid with one problem per variable that cannot be used.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]  # pydantic validates; mypy cannot see through **
    except ValidationError as exc:
        raise ConfigInvalid([_problem(error["loc"], error["msg"]) for error in exc.errors()]) from None


def _listed(written: str) -> list[str]:
    return [part.strip() for part in written.split(",") if part.strip()]


def _problem(loc: tuple[int | str, ...], message: str) -> Problem:
    message = message.removeprefix("Value error, ")
    if not loc:
        return Problem(message)
    name = str(loc[0]).upper()
    return Problem(message, path=name if name == "REDIS_URL" else f"RUNRELAY_{name}")
