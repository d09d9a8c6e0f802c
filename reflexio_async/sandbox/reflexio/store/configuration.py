"""The organisation's configuration, and the retrieval experiments in it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from reflexio_async._engine.clock import Clock
from reflexio_async.sandbox.reflexio.schemas.config import (
    ConfigSchema,
    RetrievalExperimentConfigSchema,
    RetrievalExperimentRecordSchema,
)
from reflexio_async.sandbox.reflexio.schemas.config_storage import StorageConfigSQLiteSchema
from reflexio_async.sandbox.storage.tables import Row, Table

ORGANISATION = "self-host-org"
_EXPERIMENT_FIELDS = ("retrieval_experiment_config", "retrieval_experiment_history")


class ExperimentFieldsLocked(Exception):
    """A configuration would change experiments, which have routes of their own."""


@dataclass(slots=True)
class ConfigRow(Row):
    """The configuration as a row."""

    config: ConfigSchema


class Configuration:
    """The configuration, and the users' arms in its experiments. Until it is set it has its defaults."""

    def __init__(self, clock: Clock, rows: Table[str, ConfigRow]) -> None:
        self._clock = clock
        self._rows = rows
        self._default = ConfigSchema(storage_config=StorageConfigSQLiteSchema())

    @property
    def current(self) -> ConfigSchema:
        """The configuration now."""
        row = self._rows.get(ORGANISATION)
        return self._default if row is None else row.config

    def _set(self, config: ConfigSchema) -> None:
        self._rows[ORGANISATION] = ConfigRow(config)

    def replace(self, given: dict[str, Any]) -> None:
        """Set everything. Absent fields get their defaults; experiments stay as they are."""
        experiments = self._experiment_fields(given)
        config = ConfigSchema.model_validate({**experiments, **given})
        if config.storage_config is None:
            config.storage_config = StorageConfigSQLiteSchema()
        self._set(config)

    def update(self, given: dict[str, Any]) -> bool:
        """Set the given top-level fields. Returns whether anything changed."""
        self._experiment_fields(given)
        before = self.current.view()
        merged = ConfigSchema.model_validate({**before, **given})
        self._set(merged)
        return merged.view() != before

    def _experiment_fields(self, given: dict[str, Any]) -> dict[str, Any]:
        now = self.current.view()
        if any(name in given and given[name] != now[name] for name in _EXPERIMENT_FIELDS):
            raise ExperimentFieldsLocked
        return {name: now[name] for name in _EXPERIMENT_FIELDS}

    def experiment(self, experiment_id: str) -> RetrievalExperimentRecordSchema | None:
        """An experiment, running or stopped."""
        history = self.current.retrieval_experiment_history
        return next((record for record in history if record.experiment_id == experiment_id), None)

    def start_experiment(self, experiment_id: str, holdout_percentage: float) -> None:
        """Start an experiment now."""
        started_at = int(self._clock.time())
        experiment = RetrievalExperimentConfigSchema(
            experiment_id=experiment_id, holdout_percentage=holdout_percentage
        )
        record = RetrievalExperimentRecordSchema(**experiment.model_dump(), started_at=started_at)
        config = self.current
        config.retrieval_experiment_config = experiment
        # A new list: only fields that were set are stored.
        config.retrieval_experiment_history = [*config.retrieval_experiment_history, record]
        self._set(config)

    def stop_experiment(self, experiment_id: str) -> bool:
        """Stop the running experiment. False when it is not this one."""
        running = self.current.retrieval_experiment_config
        record = self.experiment(experiment_id)
        if running is None or running.experiment_id != experiment_id or record is None:
            return False
        record.ended_at = max(int(self._clock.time()), record.started_at)
        self.current.retrieval_experiment_config = None
        self._set(self.current)
        return True


def arm_of(experiment: RetrievalExperimentConfigSchema, user_id: str) -> str:
    """A user's arm. It is always the same for one experiment (server-behaviour: Experiment arms)."""
    key = f"retrieval-ab:v1\0{ORGANISATION}\0{experiment.experiment_id}\0{user_id}"
    digest = hashlib.sha256(key.encode()).digest()
    fraction = int.from_bytes(digest, "big") / 2 ** (8 * len(digest))
    return "holdout" if fraction < experiment.holdout_percentage / 100 else "treatment"
