"""Why an event or a delivery ended, or waits: one closed set of words for ledger, logs, metrics and commands."""

from enum import StrEnum


class Reason(StrEnum):
    """Stable words. They are stored for months and matched by scripts: add, never rename."""

    #: the platform does not know the run (any more)
    RUN_NOT_FOUND = "run_not_found"
    #: the run belongs to an account this source does not serve
    RUN_FOREIGN = "run_foreign"
    #: the run has not finished yet
    NOT_TERMINAL = "not_terminal"
    #: the platform's own counts have not caught up with the data yet
    NOT_SETTLED = "not_settled"
    #: what was read or delivered does not add up with what others counted
    COUNT_MISMATCH = "count_mismatch"
    #: a rendered path would leave its base folder
    PATH_ESCAPE = "path_escape"
    #: a template could not be rendered for this run
    TEMPLATE_FAILED = "template_failed"
    #: the far side refused one item or document
    ITEM_REFUSED = "item_refused"
    #: the far side refused the delivery as such
    TARGET_REFUSED = "target_refused"
    #: the far side refused our credentials
    TOKEN_REFUSED = "token_refused"
    #: the far side could not be reached, was too slow or had trouble of its own
    TARGET_UNAVAILABLE = "target_unavailable"
    #: the platform could not be reached, was too slow or had trouble of its own
    SOURCE_UNAVAILABLE = "source_unavailable"
    #: the platform refused our token
    SOURCE_TOKEN_REFUSED = "source_token_refused"
    #: the platform wants to be paid before it says more
    SOURCE_UNPAID = "source_unpaid"
    #: the platform said no, finally
    SOURCE_REFUSED = "source_refused"
    #: the run is known but its data is gone (retention, or deleted by hand)
    DATA_EXPIRED = "data_expired"
    #: the sink's `rate` allows no more for now
    PACED = "paced"
    #: said together with others of its target, at the end of their `collect.for`
    COLLECTING = "collecting"
    #: it broke off while a message was sent, and nobody knows whether it arrived
    OUTCOME_UNKNOWN = "outcome_unknown"
    #: one step took longer than a worker may hold its slot
    TOO_SLOW = "too_slow"
    #: stored rows changed between two reads
    SOURCE_MUTATED = "source_mutated"
    #: it was tried for as long as `retry.for` allows
    RETRIES_EXHAUSTED = "retries_exhausted"
    #: the route, source or variable it was planned with is gone
    CONFIG_GONE = "config_gone"
    #: the sink's or source's module cannot be loaded
    PLUGIN_MISSING = "plugin_missing"
    #: the process died on it too often
    POISON = "poison"
    #: another object lies where ours should be created
    UPLOAD_CONFLICT = "upload_conflict"
    #: runs that our own starts led to would start each other without end
    CHAIN_TOO_LONG = "chain_too_long"
    #: not all of a run was delivered, so nothing of it is deleted
    NOT_DELIVERED = "not_delivered"
    #: no route wants this run
    NO_ROUTE = "no_route"
    #: routes want this run, but none of their targets was asked for: it is an old one, and they would act
    LEFT_OUT = "left_out"
    #: an earlier announcement of the same end of the run led to all of it; nothing is delivered twice
    ANNOUNCED_BEFORE = "announced_before"
    #: the run is not what its route expects
    NOT_AS_EXPECTED = "not_as_expected"
    #: an older run goes to the same target first
    IN_TURN = "in_turn"
    #: another run went to the same target since this one broke off half through
    OVERTAKEN = "overtaken"
    #: more different keys than a target that is told of changes may remember
    TOO_MANY_KEYS = "too_many_keys"
    #: a later finish of the same run has replaced it
    SUPERSEDED = "superseded"
    #: a bug of ours
    INTERNAL_ERROR = "internal_error"


#: What keeps a whole source from being asked, until a person has seen to it.
PAUSES_SOURCE = frozenset({Reason.SOURCE_TOKEN_REFUSED, Reason.SOURCE_UNPAID})
