"""What one emulator is told when it starts."""

from dataclasses import dataclass, field
from pathlib import Path

from emulator.scenarios import Scenario


class EmulatorError(ValueError):
    """The emulator cannot start as asked; the message says what to change."""


@dataclass(frozen=True)
class EmulatorSettings:
    """One emulator's settings.

    Attributes:
        data: folder for everything that must outlive the process; made when missing.
        token: the only token accepted besides those of live runs; None accepts any token.
        actors: folders whose sub-folders each hold an `actor.yaml`; they become `<username>~<name>`.
        clock_factor: multiplies waiting times of the platform (webhook retries, grace of an abort); 0.001 in tests.
        base_url: the emulator's own address without `/v2`; `serve` fills it in.
        item_count_lag: seconds by which itemCount, X-Apify-Pagination-Total and visible rows lag behind pushes.
        restricted: refuse reads without a token, as an account with restricted access does.
        username: owner of the programs in `actors`, and the answer's name of `GET /v2/users/me`.
        max_request_bytes: largest request body after decompression, in bytes (Apify: 9,437,184).
        max_record_bytes: largest key-value record after decompression, in bytes.
        scenario: faults to act out, none by default.
    """

    data: Path
    token: str | None = None
    actors: tuple[Path, ...] = ()
    clock_factor: float = 1.0
    base_url: str = "http://127.0.0.1:8090"
    item_count_lag: float = 0.0
    restricted: bool = False
    username: str = "local"
    max_request_bytes: int = 9_437_184
    max_record_bytes: int = 256 * 1024 * 1024
    scenario: Scenario = field(default_factory=Scenario)
