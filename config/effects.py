"""What makes something happen instead of keeping results: nobody wants it of old runs unless they say so."""

#: Types of sinks that act: they start Actors and send messages.
ACTING = frozenset({"actor", "notify"})


def acts(sink_type: str) -> bool:
    """Whether a sink of this `type:` does. The last word counts: a sink's module may be named in full."""
    return sink_type.rpartition(".")[2] in ACTING
