"""For sinks that take no documents: what the contract asks of documents does not apply."""

from typing import TYPE_CHECKING, Any

import pytest

from workers.testing.contract import Connect
from workers.testing.shipments import document

if TYPE_CHECKING:
    from workers.testing.contract import SinkContract
else:
    SinkContract = object


class TakesNoDocuments(SinkContract):
    """Inherit before `SinkContract`."""

    async def test_takes_documents_as_they_are(self, connect: Connect) -> None:  # type: ignore[override]  # no far side
        """It takes none."""
        async with connect() as sink, sink.open(self.ship(), None) as writer:
            with pytest.raises(TypeError, match="holds no documents"):
                await writer.document(document("A", "text/plain", b"a"))

    async def test_documents_sent_again_are_there_once(self, **_: Any) -> None:  # type: ignore[override]  # none are sent
        assert "records" not in self.module.TAKES
