"""How soon after a run's end the platform's answers count."""

from config.contracts.errors import NotYet
from config.contracts.reasons import Reason
from config.contracts.run import Run
from config.contracts.source import Settle

#: A `Date` header has whole seconds.
DATE_STEP = 1.0


def require_quiet(run: Run, settle: Settle, at: float) -> None:
    """Raises NotYet if the platform answered (`at`, its own clock) too soon after the finish to be believed."""
    quiet = run.finished + settle.quiet
    if settle.quiet and at < quiet:
        raise NotYet(Reason.NOT_SETTLED, "the run has only just finished", wait=settles_in(quiet, at))


def settles_in(quiet: float, now: float) -> float:
    """Seconds until the platform's clock has passed `quiet`; 0.0, a short growing wait, if it shows no clock."""
    return quiet - now + DATE_STEP / 2 if now else 0.0
