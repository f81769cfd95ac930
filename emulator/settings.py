"""What one emulator is told when it starts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emulator.scenarios import Scenario


class EmulatorError(ValueError):
    """The emulator cannot start as asked; the message says what to change."""


@dataclass(frozen=True)
class DispatchCall:
    """One attempt to send a webhook.

    Attributes:
        status: HTTP status of the answer; None if there was none.
        millis: how long the attempt took.
        error: why it counts as failed; None if the webhook was taken.
        answer: the beginning of the answer's body.
        next_try: seconds until the next attempt; None if there will be none.
    """

    event: str
    url: str
    status: int | None
    millis: int
    error: str | None
    answer: str
    next_try: float | None


@dataclass(frozen=True)
class EmulatorSettings:
    """One emulator's settings.

    Attributes:
        data: folder for everything that must outlive the process; made when missing.
        token: the only token accepted besides those of live runs; None accepts any token.
        strangers: further tokens and the user name each belongs to; what they own is foreign to the others.
        actors: folders that each are an Actor or hold some, one a folder; they become `<username>~<name>`.
        clock_factor: multiplies waiting times of the platform (webhook retries, grace of an abort, synchronous starts);
            0.001 in tests.
        base_url: the emulator's own address without `/v2`; `serve` fills it in.
        item_count_lag: seconds by which itemCount, X-Apify-Pagination-Total and visible rows lag behind pushes.
        restricted: refuse reads without a token, as an account with restricted access does.
        username: owner of the programs in `actors`, and the answer's name of `GET /v2/users/me`.
        max_request_bytes: largest request body after decompression, in bytes (Apify: 9,437,184).
        max_record_bytes: largest key-value record after decompression, in bytes.
        rate_limits: the part of Apify's rate limits that is enforced, 1.0 for all of them; None enforces nothing.
        scenario: faults to act out, none by default; more can be planned at `/emulator/faults`.
        on_dispatch: told of every attempt to send a webhook; it must not raise.
    """

    data: Path
    token: str | None = None
    strangers: Mapping[str, str] = field(default_factory=dict)
    actors: tuple[Path, ...] = ()
    clock_factor: float = 1.0
    base_url: str = "http://127.0.0.1:8090"
    item_count_lag: float = 0.0
    restricted: bool = False
    username: str = "local"
    max_request_bytes: int = 9_437_184
    max_record_bytes: int = 256 * 1024 * 1024
    rate_limits: float | None = None
    scenario: Scenario = field(default_factory=Scenario)
    on_dispatch: Callable[[DispatchCall], None] | None = None
