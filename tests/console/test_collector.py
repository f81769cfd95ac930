import gc

from console.collector import THRESHOLDS, settle


def test_what_is_there_when_a_process_begins_to_serve_is_not_looked_at_again() -> None:
    before = gc.get_threshold()
    try:
        settle()
        assert gc.get_freeze_count() > 1000
        assert gc.get_threshold() == THRESHOLDS
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
