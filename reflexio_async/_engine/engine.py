"""What a declared row needs of the client it is called on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from reflexio_async._engine.routing.warn import warn_caller

if TYPE_CHECKING:
    from reflexio_async._engine.cache import Cache
    from reflexio_async._engine.call import Caller
    from reflexio_async._engine.jobs.manager import JobManager
    from reflexio_async._engine.settings import Settings
    from reflexio_async._engine.tasks import TaskTracker


class ServerQuirkWarning(UserWarning):
    """The server does something else than the call says."""


@dataclass(slots=True)
class ServerKnowledge:
    """What this client has learned about its server; None is "not yet"."""

    insert_once: bool | None = None
    warned_of: set[str] = field(default_factory=set[str])

    def warn_once(self, quirk: str, message: str) -> None:
        """Tell the caller of a quirk the first time it matters."""
        if quirk not in self.warned_of:
            self.warned_of.add(quirk)
            warn_caller(message, ServerQuirkWarning)


@dataclass(frozen=True, slots=True)
class Engine:
    """The parts one client is made of; views made by ``with_options`` differ in ``settings`` only."""

    caller: Caller
    jobs: JobManager
    tasks: TaskTracker
    knowledge: ServerKnowledge
    settings: Settings
    cache: Cache

    def with_settings(self, settings: Settings) -> Engine:
        """The same parts under other settings."""
        return replace(self, settings=settings)


class HasEngine(Protocol):
    """A client, to the rows declared on it."""

    @property
    def engine(self) -> Engine:
        """Its parts."""
        ...
