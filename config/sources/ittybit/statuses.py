"""How runs, tasks and jobs stand, in the words of all of ittybit's APIs (changelog of 2025-09-15, `api/runs/list`)."""

SUCCESS = frozenset({"succeeded", "completed", "ready"})
FAILED = frozenset({"failed", "error"})
#: Of a job also when a sibling of it failed (`api/get-job`).
CANCELLED = frozenset({"cancelled", "canceled"})
UNDER_WAY = frozenset({"pending", "waiting", "validating", "queued", "processing", "finishing"})
#: Nothing more comes. A word that is nowhere here says nothing: it is asked for again.
OVER = SUCCESS | FAILED | CANCELLED
ALL = OVER | UNDER_WAY
