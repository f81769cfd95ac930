"""What expressions know in which place."""

from config.language.expression import Expression

#: What is known of a run wherever it is on its way.
RUN = frozenset({"run", "source", "actor", "task", "build", "schedule", "event"})


class RunExpression(Expression):
    """Of a run that has been fetched: `run.usageTotalUsd > 1`."""

    names = RUN
