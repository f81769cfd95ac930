"""The garbage collector of a process that serves."""

import gc

#: Objects made before the youngest generation is looked through, and how often the older ones are: with Python's own
#: figures a receiver under load spends a fifth of its time looking at requests that are under way.
THRESHOLDS = (50_000, 20, 50)


def settle() -> None:
    """Modules, settings and routes stay as long as the process does: what is there now is not looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
