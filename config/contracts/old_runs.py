"""What somebody asks for who wants runs delivered that ended long ago. It travels with the event of each run."""

import msgspec

#: `Event.via` of a run that was listed, and of one that no route had wanted. Neither leads to anything but results.
BACKFILL, REPLAY = "backfill", "replay"
#: What is added to them when sinks that act and `after:` are meant, too.
EFFECTS = "+effects"


def via(word: str, *, effects: bool) -> str:
    """`backfill` and `backfill+effects`; `replay` and `replay+effects`."""
    return word + EFFECTS if effects else word


def without_effects(via: str) -> bool:
    """Whether an event that came like this leads to results only."""
    return via in {BACKFILL, REPLAY}


def backfilled(via: str) -> bool:
    """Whether somebody asked for the run: the body of its event is ours, and no webhook's."""
    return via in {BACKFILL, BACKFILL + EFFECTS}


class Places(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where deliveries lead that are meant: names in runrelay.yaml. An empty one is any."""

    route: str = ""
    target: str = ""
    sink: str = ""

    def hold(self, route: str, target: str, sink: str) -> bool:
        lines = ((self.route, route), (self.target, target), (self.sink, sink))
        return all(said in {"", has} for said, has in lines)


def places_of(via: str, body: bytes) -> Places:
    """The places an event is for: those that the body of a backfill's says; every other event is for all."""
    return msgspec.json.decode(body, type=Places) if body and backfilled(via) else Places()
