"""An ittybit source that asks the stand-in over the real wire."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from config.contracts.api import Patience
from config.contracts.run import Run
from config.sources.ittybit import Config, IttybitSource, connect
from tests.ittybit.standin import Standin, standin
from workers.fetch.api import HttpApi, Session


@dataclass
class Project:
    """A stand-in and a source that is connected to it."""

    place: Standin
    source: IttybitSource
    api: HttpApi
    session: Session

    async def run(self, run_id: str) -> Run:
        return await self.source.run(self.api, run_id)

    def other(self, **options: Any) -> "Project":
        """The same place, asked by a source with other options."""
        return asking(self.place, self.session, **options)


def asking(place: Standin, session: Session, **options: Any) -> Project:
    written = {"token": place.token, "api_url": place.url, "file_origins": [place.files_url], **options}
    source = connect("videos", Config.model_validate({"webhook": {"secrets": ["s"]}, **written}))
    # What the source makes of an answer is asked for here, not how patiently it is asked.
    return Project(place, source, HttpApi(session, replace(source.manners, patience=Patience(tries=1))), session)


@asynccontextmanager
async def project(session: Session) -> AsyncIterator[Project]:
    async with standin() as place:
        yield asking(place, session)
