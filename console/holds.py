"""What keeps work waiting, in words, and the cure."""

from typing import Any

from config.contracts.reasons import Reason
from console.moments import iso, when_of
from workers.ledger.holds import Hold
from workers.ledger.waiting import Wait


def hold_facts(hold: Hold) -> dict[str, Any]:
    """As JSON has it."""
    return {**hold._asdict(), "since": iso(hold.since), "until": iso(hold.until)}


def hold_words(hold: Hold) -> str:
    """What is held, why, what waits for it, and what comes next."""
    waiting = f"{hold.waiting:,} wait" if hold.waiting != 1 else "1 waits"
    if hold.why == "held":
        end = f"until {when_of(hold.until)}" if hold.until else f"until `runrelay resume {hold.kind} {hold.name}`"
        return f"{hold.kind} {hold.name}: held by hand {end}, {waiting}"
    said = f": {hold.detail}" if hold.detail else ""
    return f"{hold.kind} {hold.name}: {hold.reason} since {when_of(hold.since)}, {waiting}{said}"


def cure(hold: Hold) -> str:
    match hold.why:
        case "held":
            return f"once it may go on: runrelay resume {hold.kind} {hold.name}"
        case "refused" if hold.reason == Reason.SOURCE_UNPAID:
            return f"see to the account there, which the platform wants to be paid for; {_at_once(hold)}"
        case "refused":
            return f"put the right credentials where runrelay.yaml takes them from; {_at_once(hold)}"
        case "failing":
            return f"mend the far side; {_at_once(hold)}"


def _at_once(hold: Hold) -> str:
    command = f"retry --target {hold.name}" if hold.kind == "target" else f"resume {hold.kind} {hold.name}"
    return f"what waits goes on by itself, or at once with: runrelay {command}"


def wait_facts(wait: Wait | None) -> dict[str, Any] | None:
    """As JSON has it; null for what stands in no line."""
    if wait is None:
        return None
    if hold := wait.hold:
        return {"for": hold.why, "name": f"{hold.kind} {hold.name}", "since": iso(hold.since), "until": iso(hold.until)}
    if wait.until:
        return {"for": "next_try", "until": iso(wait.until)}
    return {"for": "place", "places": wait.places}


def wait_words(wait: Wait) -> str:
    """Short: it stands in a table."""
    match wait.hold:
        case Hold(why="held") as hold:
            return f"{hold.kind} held by hand" + (f" until {when_of(hold.until)}" if hold.until else "")
        case Hold() as hold:
            verb = "refuses us" if hold.why == "refused" else "fails"
            return f"{hold.kind} {verb} since {when_of(hold.since)}"
        case None:
            return f"next try {when_of(wait.until)}" if wait.until else f"waits for one of {wait.places} places"
