"""Every request model: what it accepts, what it refuses, and what arrives."""

from __future__ import annotations

import inspect
import json
import re
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, cast, get_args, get_origin

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import reflexio_async.reflexio.models
from reflexio_async import AsyncReflectClient, AsyncReflexioClient, InvalidRequest
from reflexio_async._engine.models import RequestModel, ResponseModel
from reflexio_async._engine.wire import encode
from reflexio_async.legacy.api import LegacyAPI
from tests.calls import calls
from tests.parity.compare import CONTRACT, models_in

if TYPE_CHECKING:
    from pydantic import BaseModel

CALLS = calls(AsyncReflexioClient)
MODELS = models_in(reflexio_async.reflexio.models)
SCHEMAS = CONTRACT["components"]["schemas"]
NAMES = {"interaction_data_list": "interactions"}
"""Our names for fields of the contract, where they differ."""
RESPONSES = sorted(
    name
    for name, model in MODELS.items()
    if issubclass(model, ResponseModel) and SCHEMAS.get(name, {}).get("properties")
)
REQUESTS = {
    call.request.__name__: call.request for call in CALLS.values() if issubclass(call.request, RequestModel)
}

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
def test_what_the_contract_allows_is_accepted_and_arrives_whole(name: str) -> None:
    call = next(call for call in CALLS.values() if call.request.__name__ == name)

    @_SLOW
    @given(by_contract(name))
    def check(body: dict[str, Any]) -> None:
        try:
            request = call.request(**{**dict.fromkeys(call.ids_in_path, "id"), **body})
        except InvalidRequest as error:
            assert _known_refusal(name, str(error)), error  # noqa: PT017  # explains the example
            return
        sent = json.loads(encode(call.endpoint, request).body or b"{}")
        assert _normal(sent) == _normal(body)

    check()


def _known_refusal(name: str, message: str) -> bool:
    """What we refuse though the schema allows it, because the server's own code refuses it."""
    publish = name == "PublishUserInteractionRequest" and (
        "user_action_description" in message
        or "evaluation_only excludes" in message
        or "go together" in message
    )
    orders = ("must be after start_time", "must not be before start_time", "from_ts must")
    order = any(rule in message for rule in orders)
    return publish or order or "content or trigger must be given" in message


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
    with pytest.raises(InvalidRequest, match="no_such_field: there is no such field"):
        REQUESTS[name](no_such_field=1)


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
    ours = NAMES.get(field, field)
    with pytest.raises(InvalidRequest) as error:
        REQUESTS[name](**{ours: value})
    named = [fault.partition(":")[0] for fault in error.value.faults.split("; ")]
    assert any(re.match(rf"{ours}\b", fault) for fault in named), error.value


@pytest.mark.parametrize("name", RESPONSES)
def test_a_response_of_a_newer_server_is_read(name: str) -> None:
    model = MODELS[name]

    @_SLOW
    @given(by_contract(name))
    def check(body: dict[str, Any]) -> None:
        text = json.dumps({**_with_new_words(model, body), "brand_new": [1]})
        response = model.model_validate_json(text)
        assert response.model_extra is not None
        assert response.model_extra["brand_new"] == [1]
        json.dumps(response.model_dump(mode="json"))

    check()


def _with_new_words(model: type[BaseModel], body: dict[str, Any]) -> dict[str, Any]:
    """``body`` with a word that nobody knows wherever a word of a list is expected."""
    changed = dict(body)
    for name, field in model.model_fields.items():
        kinds = get_args(field.annotation) or (field.annotation,)
        if name in changed and any(isinstance(kind, type) and issubclass(kind, Enum) for kind in kinds):
            changed[name] = "a new word"
    return changed


def test_no_response_insists_on_a_list_of_words() -> None:
    for name in RESPONSES:
        for field in MODELS[name].model_fields.values():
            kinds = get_args(field.annotation) or (field.annotation,)
            assert get_origin(field.annotation) is not Literal, name
            assert str in kinds or not any(
                isinstance(kind, type) and issubclass(kind, Enum) for kind in kinds
            ), name


PLAIN_CALLS = {
    f"{client.__name__}.{name}": call
    for client in (AsyncReflexioClient, AsyncReflectClient, LegacyAPI)
    for name, call in calls(client).items()
    if not call.takes_request and "title" in call.request.model_config
}


@pytest.mark.parametrize("name", PLAIN_CALLS)
async def test_an_error_of_a_plain_call_names_the_call_and_every_argument(name: str) -> None:
    call = PLAIN_CALLS[name]
    own_name = call.name.removesuffix("_async")
    parameters = inspect.signature(call.function).parameters
    arguments = {field: object() for field in call.request.model_fields if field in parameters}
    client = AsyncReflexioClient(url_endpoint="http://127.0.0.1:1")
    owners: dict[str, object] = {"AsyncReflectClient": client.reflect, "LegacyAPI": client.legacy}
    with pytest.raises(InvalidRequest, match=rf"^{own_name}: ") as error:
        await call(owners.get(name.partition(".")[0], client), arguments)
    assert [field for field in arguments if f"{field}: " not in str(error.value)] == []
