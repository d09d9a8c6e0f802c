"""The organisation's configuration, and the experiments written into it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reflexio_async.sandbox.reflexio.schemas.config import Config, Experiment, ExperimentRecord, Sqlite
from reflexio_async.sandbox.storage.tables import Row

if TYPE_CHECKING:
    from reflexio_async._engine.clock import Clock
    from reflexio_async.sandbox.storage.tables import Table

ORGANISATION = "self-host-org"
_GUARDED = ("retrieval_experiment_config", "retrieval_experiment_history")


class Guarded(Exception):
    """Experiments are not changed through the configuration."""


@dataclass(slots=True)
class Configured(Row):
    """What is set now."""

    config: Config

    def document(self) -> dict[str, Any]:
        """All of it."""
        return self.config.view()

    @classmethod
    def restored(cls, document: dict[str, Any]) -> Configured:
        """All of it."""
        return cls(Config.model_validate(document))


class Configuration:
    """What is set, and who belongs to which arm of an experiment; until something is set, as installed."""

    def __init__(self, clock: Clock, rows: Table[str, Configured]) -> None:
        self._clock = clock
        self._rows = rows
        self._installed = Config(storage_config=Sqlite())

    @property
    def current(self) -> Config:
        """What is set now."""
        row = self._rows.get(ORGANISATION)
        return self._installed if row is None else row.config

    def _set(self, config: Config) -> None:
        self._rows[ORGANISATION] = Configured(config)

    def replace(self, given: dict[str, Any]) -> None:
        """Set everything; what is absent takes its default, but experiments stay."""
        kept = self._guarded(given)
        config = Config.model_validate({**kept, **given})
        if config.storage_config is None:
            config.storage_config = Sqlite()
        self._set(config)

    def update(self, given: dict[str, Any]) -> bool:
        """Overlay the top level; whether anything changed."""
        self._guarded(given)
        before = self.current.view()
        merged = Config.model_validate({**before, **given})
        self._set(merged)
        return merged.view() != before

    def _guarded(self, given: dict[str, Any]) -> dict[str, Any]:
        now = self.current.view()
        if any(name in given and given[name] != now[name] for name in _GUARDED):
            raise Guarded
        return {name: now[name] for name in _GUARDED}

    def experiment(self, experiment_id: str) -> ExperimentRecord | None:
        """Running or over."""
        history = self.current.retrieval_experiment_history
        return next((record for record in history if record.experiment_id == experiment_id), None)

    def start_experiment(self, experiment_id: str, holdout_percentage: float) -> None:
        """From now on."""
        started_at = int(self._clock.time())
        experiment = Experiment(experiment_id=experiment_id, holdout_percentage=holdout_percentage)
        record = ExperimentRecord(**experiment.model_dump(), started_at=started_at)
        self.current.retrieval_experiment_config = experiment
        self.current.retrieval_experiment_history.append(record)
        self._set(self.current)

    def stop_experiment(self, experiment_id: str) -> bool:
        """Whether it was the one running."""
        running = self.current.retrieval_experiment_config
        record = self.experiment(experiment_id)
        if running is None or running.experiment_id != experiment_id or record is None:
            return False
        record.ended_at = max(int(self._clock.time()), record.started_at)
        self.current.retrieval_experiment_config = None
        self._set(self.current)
        return True


def arm_of(experiment: Experiment, user_id: str) -> str:
    """A user's arm, for ever the same."""
    key = f"retrieval-ab:v1\0{ORGANISATION}\0{experiment.experiment_id}\0{user_id}"
    digest = hashlib.sha256(key.encode()).digest()
    fraction = int.from_bytes(digest, "big") / 2 ** (8 * len(digest))
    return "holdout" if fraction < experiment.holdout_percentage / 100 else "treatment"
