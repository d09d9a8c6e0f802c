"""What the contracts say, beside what this client says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, TypeAdapter

import reflexio_async.legacy
import reflexio_async.reflexio.models
from reflexio_async import AsyncReflexioClient
from reflexio_async._engine.models import Header, Query, RequestPart, ResponseModel
from reflexio_async.legacy.api import LegacyAPI
from reflexio_async.reflexio.models import enums
from tests.calls import Call, calls

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import ModuleType

HERE = Path(__file__).parent


def load(file: str) -> Any:
    """The data in a file of this folder."""
    return json.loads((HERE / file).read_text())


CONTRACT = load("reflexio.openapi.json")
LEGACY = load("reflexio-legacy.openapi.json")

_BOUNDS = {
    "minLength": "len>=",
    "maxLength": "len<=",
    "minItems": "items>=",
    "maxItems": "items<=",
    "minimum": ">=",
    "maximum": "<=",
    "exclusiveMinimum": ">",
    "exclusiveMaximum": "<",
    "pattern": "~",
}
ABSENT = "absent"


@dataclass(frozen=True)
class Comparison:
    """One line of the table: what the contract or the official client says, and what ours says."""

    what: str
    theirs: str
    ours: str

    @property
    def same(self) -> bool:
        return self.theirs == self.ours


# --- routes


def routes() -> Iterator[Comparison]:
    """Every route of both contracts: who calls it, with what, and for what."""
    ours = calls(AsyncReflexioClient).values()
    yield from compare_routes(CONTRACT, ours, "")
    yield from compare_routes(LEGACY, [*calls(LegacyAPI).values(), *ours], "legacy ")


def compare_routes(contract: dict[str, Any], ours: Iterable[Call], prefix: str) -> Iterator[Comparison]:
    """Every route of ``contract`` beside the first call of ``ours`` that has its method and path."""
    by_route: dict[tuple[str, str], Call] = {}
    for call in ours:
        by_route.setdefault((call.endpoint.method, call.endpoint.path), call)
    for path, operations in contract["paths"].items():
        for verb, operation in operations.items():
            method = verb.upper()
            what = f"{prefix}{method} {path}"
            found = by_route.get((method, path))
            if found is None:
                yield Comparison(what, "a route", "none")
                continue
            limit = operation.get("x-rate-limit", [""])[0].replace("/", " ").partition(" ")[0]
            yield Comparison(f"{what} limit", limit, str(found.endpoint.per_minute or ""))
            yield from _request(what, operation, found)
            yield from _response(what, operation, found)


def _content(part: dict[str, Any]) -> dict[str, Any]:
    kinds: list[dict[str, Any]] = [*part.get("content", {}).values()]
    found: dict[str, Any] = kinds[0].get("schema", {}) if kinds else {}
    return found


def _request(what: str, operation: dict[str, Any], call: Call) -> Iterator[Comparison]:
    body = _content(operation.get("requestBody", {}))
    theirs = {
        (parameter["in"], parameter["name"]): _shape(parameter.get("schema", {}), {})
        for parameter in operation.get("parameters", [])
    }
    schema = _our_schema(call.request)
    ours: dict[tuple[str, str], str] = {}
    in_body = False
    for name, field in call.request.model_fields.items():
        place = ("path", name) if f"{{{name}}}" in call.endpoint.path else None
        if field.exclude and place is None:
            continue
        for mark in field.metadata:
            if mark is Query or isinstance(mark, Query):
                place = ("query", name)
            elif isinstance(mark, Header):
                place = ("header", mark.name)
        if place is None:
            in_body = True
        else:
            ours[place] = _shape(schema["properties"][name], schema.get("$defs", {}))
    for key in sorted(set(theirs) | set(ours)):
        yield Comparison(f"{what} {key[0]} {key[1]}", theirs.get(key, ABSENT), ours.get(key, ABSENT))
    wanted = body.get("$ref", "").rsplit("/", 1)[-1]
    names = [kind.__name__ for kind in call.request.__mro__]
    same = wanted in names or not (wanted or in_body)
    yield Comparison(f"{what} request", wanted, wanted if same else names[0])


def _response(what: str, operation: dict[str, Any], call: Call) -> Iterator[Comparison]:
    ok = next(response for status, response in operation["responses"].items() if status.startswith("2"))
    theirs = _content(ok).get("$ref", "").rsplit("/", 1)[-1]
    response: Any = call.endpoint.response
    is_model = isinstance(response, type) and issubclass(response, BaseModel)
    yield Comparison(f"{what} response", theirs, response.__name__ if is_model else "")


# --- fields


def models_in(package: ModuleType) -> dict[str, type[BaseModel]]:
    """Every model in the modules of ``package``, by name."""
    found: dict[str, type[BaseModel]] = {}
    for module in iter_modules(package.__path__):
        found.update(models_of(import_module(f"{package.__name__}.{module.name}")))
    return found


def models_of(module: ModuleType) -> dict[str, type[BaseModel]]:
    """Every model in ``module``, by the name that it has there."""
    classes = {name: value for name, value in vars(module).items() if isinstance(value, type)}
    return {name: model for name, model in classes.items() if issubclass(model, BaseModel)}


def fields() -> Iterator[Comparison]:
    """Every field of every schema of both contracts: whether it must be given, its type and default."""
    ours = models_in(reflexio_async.reflexio.models)
    by_january_s_names = {**ours, **models_in(reflexio_async.legacy), **models_of(reflexio_async.legacy)}
    yield from compare_schemas(CONTRACT, ours, enums, "")
    yield from compare_schemas(LEGACY, by_january_s_names, reflexio_async.legacy, "legacy ")


def compare_schemas(
    contract: dict[str, Any], ours: Mapping[str, type[BaseModel]], enums: ModuleType, prefix: str
) -> Iterator[Comparison]:
    """Every schema of ``contract`` beside the model of ``ours``, or the enum, that has its name."""
    schemas = contract["components"]["schemas"]
    for name, schema in schemas.items():
        if "enum" in schema:
            enum = getattr(enums, name, None)
            ours_says = str(sorted(member.value for member in enum)) if enum else ABSENT
            yield Comparison(f"{prefix}{name}", str(sorted(schema["enum"])), ours_says)
        elif "properties" in schema:
            yield from _fields(prefix + name, schema, schemas, ours.get(name))


def _fields(
    name: str, schema: dict[str, Any], schemas: dict[str, Any], model: type[BaseModel] | None
) -> Iterator[Comparison]:
    if model is None:
        yield Comparison(name, "a schema", ABSENT)
        return
    request = issubclass(model, RequestPart)
    mine = _our_schema(model)
    wire = {
        info.serialization_alias or info.alias or field: field
        for field, info in model.model_fields.items()
        if not info.exclude
    }
    places = {field for field, info in model.model_fields.items() if _elsewhere(info.metadata)}
    for field in sorted(set(schema["properties"]) | set(wire)):
        theirs = our = ABSENT
        if field in schema["properties"]:
            given = schema["properties"][field]
            theirs = _described(given, schemas, required=field in schema.get("required", []), strict=request)
        if field in wire:
            local = wire[field]
            if theirs is ABSENT and local in places:
                continue  # compared with the parameters of its route
            ours_field = mine["properties"][local]
            required = local in mine.get("required", [])
            our = _described(ours_field, mine.get("$defs", {}), required=required, strict=request)
        yield Comparison(f"{name}.{field}", theirs, our)


def _elsewhere(metadata: list[Any]) -> bool:
    return any(mark is Query or isinstance(mark, Query | Header) for mark in metadata)


def _our_schema(model: type[BaseModel]) -> dict[str, Any]:
    # Null is read for every field of a response, whatever the contract says.
    mode: Literal["serialization", "validation"] = (
        "serialization" if issubclass(model, ResponseModel) else "validation"
    )
    return TypeAdapter(model).json_schema(by_alias=False, mode=mode)


def _described(schema: dict[str, Any], schemas: dict[str, Any], *, required: bool, strict: bool) -> str:
    shape = _shape(schema, schemas, strict=strict)
    if not strict:
        # Answers: keys without a value are absent on the wire, so that "may be null" is "may be absent".
        nullable = shape.endswith("|null")
        shape = shape.removesuffix("|null")
        must = "optional" if nullable or not required else "required"
        default = schema.get("default")
        return f"{must} {shape}" + (f" = {default!r}" if default not in (None, [], {}) else "")
    if required:
        return f"required {shape}"
    default = schema.get("default")
    return f"optional {shape}" + (f" = {default!r}" if default not in (None, [], {}) else "")


def _shape(schema: dict[str, Any], schemas: dict[str, Any], *, strict: bool = True) -> str:
    """A schema as text: both sides' ways of saying the same become the same text."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rsplit("/", 1)[-1]
        return name.removesuffix("View") if name in ("FeedbackView", "RawFeedbackView") else name
    if "anyOf" in schema or "oneOf" in schema:
        return _union(schema.get("anyOf") or schema["oneOf"], schemas, strict=strict)
    if "[a-z0-9]" in schema.get("pattern", ""):
        return "source"
    words = [schema["const"]] if "const" in schema else schema.get("enum")
    if words and strict:
        return f"one of {sorted(words)}"
    kind = _kind(schema, schemas, strict=strict)
    if not strict:
        return kind
    bounds = [f"{sign}{_plain(schema[name])}" for name, sign in _BOUNDS.items() if name in schema]
    return " ".join([kind, *bounds])


def _kind(schema: dict[str, Any], schemas: dict[str, Any], *, strict: bool) -> str:
    kind = str(schema.get("type", "any"))
    if kind == "array":
        items = schema.get("items") or {"type": "number"}
        return f"[{_shape(items, schemas, strict=strict)}]"
    if kind == "object":
        inner: Any = schema.get("additionalProperties")
        return f"{{{_shape(inner, schemas, strict=strict) if inner not in (None, True, {}) else 'any'}}}"
    return "date-time" if schema.get("format") == "date-time" else kind


def _union(parts: list[dict[str, Any]], schemas: dict[str, Any], *, strict: bool) -> str:
    shapes = [_shape(part, schemas, strict=strict) for part in parts]
    null = "null" in shapes
    shapes = [shape for shape in shapes if shape != "null"]
    if "source" in shapes:
        shapes = ["source"]
    if any("$ref" in part for part in parts):
        # A model may be given as a mapping, and an answer's word may be one that is not known yet.
        shapes = [shape for shape in shapes if shape not in ("{any}", "string")]
    return "|".join([*dict.fromkeys(shapes), *(["null"] if null else [])])


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def table() -> list[Comparison]:
    """All of it."""
    return [*routes(), *fields()]
