"""The contracts as schemathesis takes them: the same cases in every run, and no more than needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import schemathesis
from schemathesis.config import (
    CoveragePhaseConfig,
    FuzzingPhaseConfig,
    GenerationConfig,
    PhasesConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
)

_FOLDER: Final = Path(__file__).parents[1] / "parity"
_METHODS: Final = {"get", "post", "put", "patch", "delete"}


# Its types are known in part only, which a strict checker holds against each who touches them.
_untyped: Any = schemathesis
CHECKS: Final[list[Any]] = [
    _untyped.checks.not_a_server_error,
    _untyped.checks.content_type_conformance,
    _untyped.checks.response_schema_conformance,
]


def contract(name: str) -> dict[str, Any]:
    """The document."""
    document: dict[str, Any] = json.loads((_FOLDER / f"{name}.openapi.json").read_text(encoding="utf-8"))
    for item in document["paths"].values():
        for operation in item.values():
            for parameter in operation.get("parameters", ()):
                # January's query strings are known by name alone: anything may stand there.
                parameter.setdefault("schema", {})
    return document


def operations(document: dict[str, Any]) -> set[str]:
    """Such as ``GET /api/whoami``."""
    return {
        f"{method.upper()} {path}"
        for path, item in document["paths"].items()
        for method in item
        if method in _METHODS
    }


def schema_of(document: dict[str, Any]) -> Any:
    """What is asked per operation: the edges of every field, then a few random requests."""
    generation = GenerationConfig(
        max_examples=10, deterministic=True, database="none", with_security_parameters=False
    )
    phases = PhasesConfig(
        coverage=CoveragePhaseConfig(unexpected_methods=set()), fuzzing=FuzzingPhaseConfig()
    )
    project = ProjectConfig(generation=generation, phases=phases)
    # Unlike hypothesis's own derandomizing, a seed outlives changes of the test's code.
    config = SchemathesisConfig(seed=1, projects=ProjectsConfig(default=project))
    return _untyped.openapi.from_dict(document, config=config)
