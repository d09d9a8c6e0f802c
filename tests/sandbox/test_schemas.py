"""The sandbox's schemas accept what the contracts say. They are written by hand, so this finds drift.

A class is named after the contract's component, with ``Schema`` at the end (and January's with ``Legacy``
before it). Defaults are not compared: the contracts lack most of them.
"""

from __future__ import annotations

import inspect
import json
import pkgutil
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from reflexio_async.sandbox.reflect import schemas as reflect_schemas
from reflexio_async.sandbox.reflexio import schemas as reflexio_schemas

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

_CONTRACTS: Final = Path(__file__).parents[1] / "parity"

_WITHOUT_COMPONENT: Final = {
    # Bases and helpers.
    "TimeRangeSchema",
    "SearchSchema",
    "AnyObjectSchema",
    "OldNamesSchema",
    "ReflectSchema",
    # Nine providers whose components are the same.
    "ProviderKeySchema",
    # Query strings, and a body without fields.
    "AggregationChangeLogQuerySchema",
    "AllInteractionsQuerySchema",
    "AllProfilesQuerySchema",
    "LearningStatusQuerySchema",
    "LegacyAllProfilesQuerySchema",
    "OperationStatusQuerySchema",
    "PendingToolCallsQuerySchema",
    "RecentShadowComparisonsQuerySchema",
    "StorageStatsQuerySchema",
    "TracesQuerySchema",
    "ApiKeyRevokeSchema",
    # Upgrade and downgrade requests, whose components are the same.
    "LegacyMoveRawFeedbacksRequestSchema",
}

_STRICTER: Final = {
    # The server refuses blank and out-of-range values that its contract allows.
    ("BootstrapRequest", "user_id"),
    ("BootstrapRequest", "project_id"),
    ("MemoryQuery", "task"),
    ("MemoryQuery", "limit"),
    ("MemoryQuery", "lambda"),
    ("MemoryQuery", "mmr_lambda"),
    ("MemoryQuery", "similarity_threshold"),
    ("TraceCreate", "task"),
    ("SkillCreate", "n_passed"),
    ("SkillCreate", "n_failed"),
    ("ApiKeyCreate", "label"),
    # A text is decoded before validation.
    ("TraceCreate", "trajectory"),
}

_LIMITS: Final = (
    *("type", "enum", "const", "format", "minLength", "maxLength", "minItems", "maxItems"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
)
_SAME_COMPONENT: Final = {
    "FeedbackStatus": "PlaybookStatus",
    **dict.fromkeys(
        (
            *("AnthropicConfig", "DeepSeekConfig", "GeminiConfig", "MiniMaxConfig", "MoonshotConfig"),
            *("OpenRouterConfig", "XAIConfig", "ZAIConfig"),
        ),
        "ProviderKey",
    ),
}


def _schemas_of(module: ModuleType) -> Iterator[type[Any]]:
    for name, value in vars(module).items():
        if inspect.isclass(value) and value.__module__ == module.__name__ and name.endswith("Schema"):
            yield value


def _components(contract: str) -> dict[str, Any]:
    document = json.loads((_CONTRACTS / f"{contract}.openapi.json").read_text(encoding="utf-8"))
    components: dict[str, Any] = document["components"]["schemas"]
    return components


def _all_schemas() -> Iterator[tuple[str, type[Any]]]:
    for module in pkgutil.iter_modules(reflexio_schemas.__path__, f"{reflexio_schemas.__name__}."):
        is_legacy = module.name.rpartition(".")[2].startswith("legacy")
        contract = "reflexio-legacy" if is_legacy else "reflexio"
        for schema in _schemas_of(import_module(module.name)):
            yield contract, schema
    for schema in _schemas_of(reflect_schemas):
        yield "reflect", schema


def _component_name(schema: type[Any]) -> str:
    return schema.__name__.removeprefix("Legacy").removesuffix("Schema")


_SCHEMAS: Final = list(_all_schemas())
_COMPARED: Final = [
    pytest.param(contract, schema, id=schema.__name__)
    for contract, schema in _SCHEMAS
    if schema.__name__ not in _WITHOUT_COMPONENT
]


def _accepts(schema: dict[str, Any]) -> dict[str, Any]:
    """The part of a JSON schema that says which values it accepts."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2].removeprefix("Legacy").removesuffix("Schema")
        return {"component": _SAME_COMPONENT.get(name, name)}
    found: dict[str, Any] = {key: schema[key] for key in _LIMITS if key in schema}
    if "anyOf" in schema:
        found["anyOf"] = sorted((_accepts(each) for each in schema["anyOf"]), key=repr)
    if "items" in schema:
        found["items"] = _accepts(schema["items"])
    if isinstance(schema.get("additionalProperties"), dict):
        found["values"] = _accepts(schema["additionalProperties"])
    return found


def test_the_schemas_without_a_component_are_known() -> None:
    without = {
        schema.__name__
        for contract, schema in _SCHEMAS
        if _component_name(schema) not in _components(contract)
    }
    assert without == _WITHOUT_COMPONENT


@pytest.mark.parametrize(("contract", "schema"), _COMPARED)
def test_a_schema_accepts_what_its_component_accepts(contract: str, schema: type[Any]) -> None:
    component = _components(contract)[_component_name(schema)]
    if issubclass(schema, Enum):
        assert [member.value for member in schema] == component["enum"]
        return
    own = schema.model_json_schema(by_alias=True)
    assert set(own.get("required", ())) == set(component.get("required", ()))
    own_fields, fields = own.get("properties", {}), component.get("properties", {})
    assert own_fields.keys() == fields.keys()
    for name in fields:
        if (_component_name(schema), name) not in _STRICTER:
            assert _accepts(own_fields[name]) == _accepts(fields[name]), name
