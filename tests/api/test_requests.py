"""Every request model: what it takes, what it refuses, and what arrives."""

from __future__ import annotations

import json
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, cast, get_args, get_origin

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from reflexio_async import AsyncReflexioClient
from reflexio_async._engine.models import ResponseModel
from reflexio_async._engine.wire import encode
from tests.parity.compare import CONTRACT, models, rows

if TYPE_CHECKING:
    from reflexio_async._engine.routing.route import Row

ROWS: dict[str, Row[..., Any, Any]] = rows(AsyncReflexioClient)
MODELS = models()
SCHEMAS = CONTRACT["components"]["schemas"]
ANSWERS = sorted(
    name
    for name, model in MODELS.items()
    if issubclass(model, ResponseModel) and SCHEMAS.get(name, {}).get("properties")
)
REQUESTS = sorted({row.model.__name__ for row in ROWS.values()} & set(MODELS))

_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8).filter(
    str.strip
)


def values(schema: dict[str, Any], definitions: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a JSON schema allows."""
    if "$ref" in schema:
        return values(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions)
    if "anyOf" in schema:
        return st.one_of(*(values(part, definitions) for part in schema["anyOf"]))
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        # "None" is no status: the current one is JSON null.
        return st.sampled_from([word for word in schema["enum"] if word != "None"])
    return _simple(schema, definitions)


def _simple(schema: dict[str, Any], definitions: dict[str, Any]) -> st.SearchStrategy[Any]:
    kind = schema.get("type")
    if kind == "array":
        least = schema.get("minItems", 0)
        items: dict[str, Any] = schema.get("items") or schema.get("prefixItems", [{}])[0]
        return st.lists(values(items, definitions), min_size=least, max_size=least or 2)
    if kind == "object":
        return fields(schema, definitions) if "properties" in schema else _mapping(schema, definitions)
    simple = {"string": _string, "integer": _integer, "number": _number, "boolean": _boolean}
    return simple[kind](schema) if kind in simple else st.none()


def _mapping(schema: dict[str, Any], definitions: dict[str, Any]) -> st.SearchStrategy[Any]:
    inner: Any = schema.get("additionalProperties")
    each = st.integers() | _TEXT if inner in (None, True, {}) else values(inner, definitions)
    return st.dictionaries(_TEXT, each, max_size=2)


def _string(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    pattern = schema.get("pattern", "")
    if schema.get("format") == "date-time":
        span = datetime(2001, 1, 1), datetime(2100, 1, 1)  # noqa: DTZ001  # naive means UTC
        return st.datetimes(*span).map(datetime.isoformat)
    if "[a-z0-9]" in pattern:
        return st.from_regex(r"[a-z0-9][a-z0-9._:-]{0,20}", fullmatch=True)
    return st.just("a" * 64) if "[0-9a-f]{64}" in pattern else _TEXT


def _integer(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
    return st.integers(int(low), int(schema.get("maximum", 10_000)))


def _number(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
    high = schema.get("maximum", schema.get("exclusiveMaximum", 100))
    return st.floats(
        low, high, exclude_min="exclusiveMinimum" in schema, exclude_max="exclusiveMaximum" in schema
    )


def _boolean(_schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    return st.booleans()


def fields(schema: dict[str, Any], definitions: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with all that is required and some of the rest."""
    required = set(schema.get("required", ()))
    parts = {name: values(part, definitions) for name, part in schema["properties"].items()}
    return st.fixed_dictionaries(
        {name: part for name, part in parts.items() if name in required},
        optional={name: part for name, part in parts.items() if name not in required},
    )


def by_contract(name: str) -> st.SearchStrategy[dict[str, Any]]:
    return fields(SCHEMAS[name], SCHEMAS)


_SLOW = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.mark.parametrize("name", sorted(set(REQUESTS) & set(SCHEMAS)))
def test_what_the_contract_allows_is_taken_and_arrives_whole(name: str) -> None:
    row = next(row for row in ROWS.values() if row.model.__name__ == name)

    @_SLOW
    @given(by_contract(name))
    def check(body: dict[str, Any]) -> None:
        try:
            request = row.model.model_validate({**_path(row), **body})
        except ValidationError as error:
            assert _known_refusal(name, error), error  # noqa: PT017  # explains the example
            return
        sent = json.loads(encode(row.endpoint, request).body or b"{}")
        assert _normal(sent) == _normal(body)

    check()


def _path(row: Row[..., Any, Any]) -> dict[str, str]:
    names = [name for name in row.model.model_fields if f"{{{name}}}" in row.endpoint.path]
    return dict.fromkeys(names, "id")


def _known_refusal(name: str, error: ValidationError) -> bool:
    """What we refuse though the schema allows it, because the server's own code refuses it."""
    told = str(error)
    publish = name == "PublishUserInteractionRequest" and (
        "user_action_description" in told or "evaluation_only excludes" in told or "go together" in told
    )
    orders = ("must be after start_time", "must not be before start_time", "from_ts must")
    order = any(rule in told for rule in orders)
    return publish or order or "content or trigger must be given" in told


def _normal(value: Any) -> Any:
    """The same moment, number or list, however it is written."""
    if isinstance(value, dict):
        return {key: _normal(part) for key, part in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_normal(part) for part in cast("Any", value)]
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value).replace(tzinfo=None)
        except ValueError:
            return value
    return value


@pytest.mark.parametrize("name", REQUESTS)
def test_an_unknown_field_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValidationError, match="no_such_field"):
        MODELS[name].model_validate({"no_such_field": 1})


def _bounded() -> list[tuple[str, str, Any]]:
    cases: list[tuple[str, str, Any]] = []
    for name in sorted(set(REQUESTS) & set(SCHEMAS)):
        for field, schema in SCHEMAS[name]["properties"].items():
            cases += [(name, field, value) for value in _beyond(schema)]
    return cases


def _beyond(schema: dict[str, Any]) -> list[Any]:
    """Values just outside what the contract allows."""
    parts = [part for part in schema.get("anyOf", [schema]) if part.get("type") != "null"]
    if len(parts) != 1:
        return []
    (part,) = parts
    found: list[Any] = []
    if "minimum" in part:
        found.append(part["minimum"] - 1)
    if "exclusiveMinimum" in part:
        found.append(part["exclusiveMinimum"])
    if "maximum" in part:
        found.append(part["maximum"] + 1)
    if "exclusiveMaximum" in part:
        found.append(part["exclusiveMaximum"])
    if "maxLength" in part and part["maxLength"] <= 1000:
        found.append("x" * (part["maxLength"] + 1))
    if part.get("minLength") or part.get("minItems"):
        found.append("" if part["type"] == "string" else [])
    if "enum" in part:
        found.append("no such word")
    if part.get("type") in ("integer", "boolean", "array", "object"):
        found.append("no such kind")
    return found


@pytest.mark.parametrize(("name", "field", "value"), _bounded())
def test_what_the_contract_forbids_is_refused_by_name(name: str, field: str, value: Any) -> None:
    ours = "interactions" if field == "interaction_data_list" else field
    with pytest.raises(ValidationError) as error:
        MODELS[name].model_validate({ours: value})
    assert any(fault["loc"][0] == ours for fault in error.value.errors()), error.value


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_of_a_newer_server_is_read(name: str) -> None:
    model = MODELS[name]

    @_SLOW
    @given(by_contract(name))
    def check(body: dict[str, Any]) -> None:
        answer = model.model_validate_json(json.dumps({**_with_new_words(model, body), "brand_new": [1]}))
        assert answer.model_extra is not None
        assert answer.model_extra["brand_new"] == [1]
        json.dumps(answer.model_dump(mode="json"))

    check()


def _with_new_words(model: type[BaseModel], body: dict[str, Any]) -> dict[str, Any]:
    """``body`` with a word that nobody knows wherever a word of a list is expected."""
    changed = dict(body)
    for name, field in model.model_fields.items():
        kinds = get_args(field.annotation) or (field.annotation,)
        if name in changed and any(isinstance(kind, type) and issubclass(kind, Enum) for kind in kinds):
            changed[name] = "a new word"
    return changed


def test_no_answer_insists_on_a_list_of_words() -> None:
    for name in ANSWERS:
        for field in MODELS[name].model_fields.values():
            kinds = get_args(field.annotation) or (field.annotation,)
            assert get_origin(field.annotation) is not Literal, name
            assert str in kinds or not any(
                isinstance(kind, type) and issubclass(kind, Enum) for kind in kinds
            ), name
