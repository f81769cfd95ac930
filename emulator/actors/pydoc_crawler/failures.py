"""ActorFailed            the run ends with exit code 1 and this one line
├── PlatformFailed     the platform cannot be reached, or refused a call
├── InputRefused       the input or the environment makes no sense
└── DocServerFailed    a documentation server does not start
PageLost               one page is missing and its server has to be replaced; the crawl goes on"""


class ActorFailed(Exception):
    """The run cannot go on. The message is one line for the run's log."""


class PlatformFailed(ActorFailed):
    """The platform cannot be reached, or answered with a status other than 2xx."""


class InputRefused(ActorFailed):
    """The input record, or an environment variable, is missing or makes no sense."""


class DocServerFailed(ActorFailed):
    """A documentation server ended, or stayed silent, instead of printing its URL."""


class PageLost(Exception):
    """The server hung, died or stopped in the middle of a page. The message becomes the item's `error`."""
