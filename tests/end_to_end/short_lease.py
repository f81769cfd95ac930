"""`runrelay worker` as it is, but for its leases, and a moment to die at. Arguments: ms that a lease lasts, so that a
death costs the tests that much and not the half minute of production; then, if it is to die, a sink and a number: it is
killed (SIGKILL) right before that checkpoint of a delivery to the sink, when the far side has what the ledger has not.
"""

import os
import signal
import sys
from collections.abc import Mapping
from functools import partial

import workers.worker
from config.contracts.delivery import Checkpoint
from console.cli.main import main
from workers.ledger.ledger import Ledger
from workers.ledger.records import Lease

lease, *death = sys.argv[1:]


class DoomedLedger(Ledger):
    left = int(death[1]) if death else 0

    async def checkpoint(
        self,
        lease: Lease,
        checkpoint: Checkpoint,
        rejects: Mapping[str, bytes] | None = None,
        parts: Mapping[str, bytes] | None = None,
    ) -> None:
        if death and checkpoint.receipts[-1].sink == death[0]:
            self.left -= 1
            if not self.left:
                os.kill(os.getpid(), signal.SIGKILL)
        await super().checkpoint(lease, checkpoint, rejects, parts)


vars(workers.worker)["Ledger"] = partial(DoomedLedger, lease_ms=int(lease))
sys.exit(main(["worker", "--port", "0", "--json"]))
