"""What the contract and the official client say, beside what this client says."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, TypeAdapter

import reflexio_async.reflexio.models
from reflexio_async import AsyncReflexioClient
from reflexio_async._engine.models import Header, Query, RequestModel
from reflexio_async._engine.routing.route import Row
from reflexio_async.legacy.api import LegacyAPI
from reflexio_async.reflexio.api import config, identity
from reflexio_async.reflexio.api.session_scoped import SessionView

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reflexio_async._engine.wire import Endpoint

HERE = Path(__file__).parent
CONTRACT = json.loads((HERE / "reflexio.openapi.json").read_text())
LEGACY = json.loads((HERE / "reflexio-legacy.openapi.json").read_text())
OFFICIAL = json.loads((HERE / "official.json").read_text())

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
_ABSENT = "absent"


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    what: str
    theirs: str
    ours: str

    @property
    def same(self) -> bool:
        return self.theirs == self.ours


# --- routes


def rows(owner: type) -> dict[str, Row[..., Any, Any]]:
    """The rows of ``owner`` by name, those that are loaded late included."""
    found = {name: getattr(owner, name) for name in dir(owner) if not name.startswith("_")}
    return {name: row for name, row in found.items() if isinstance(row, Row)}


def endpoints(owner: type) -> dict[tuple[str, str], Row[..., Any, Any] | Endpoint]:
    """What ``owner`` calls, by method and path."""
    found: dict[tuple[str, str], Row[..., Any, Any] | Endpoint] = {
        (endpoint.method, endpoint.path): endpoint
        for endpoint in (config.SET_CONFIG, config.UPDATE_CONFIG, identity.LOGIN)
    }
    for row in rows(owner).values():
        found.setdefault((row.endpoint.method, row.endpoint.path), row)
    return found


def routes() -> Iterator[Line]:
    """Every route of both contracts: who calls it, with what, and for what."""
    ours = endpoints(AsyncReflexioClient)
    yield from _routes(CONTRACT, ours, "")
    yield from _routes(LEGACY, {**ours, **endpoints(LegacyAPI)}, "legacy ")


def _routes(
    contract: dict[str, Any], ours: dict[tuple[str, str], Row[..., Any, Any] | Endpoint], prefix: str
) -> Iterator[Line]:
    for path, verbs in contract["paths"].items():
        for verb, operation in verbs.items():
            method = verb.upper()
            what = f"{prefix}{method} {path}"
            row = ours.get((method, path))
            if row is None:
                yield Line(what, "a route", "none")
                continue
            endpoint = row.endpoint if isinstance(row, Row) else row
            limit = operation.get("x-rate-limit", [""])[0].replace("/", " ").partition(" ")[0]
            yield Line(f"{what} limit", limit, str(endpoint.per_minute or ""))
            if isinstance(row, Row):
                yield from _request(what, operation, row)
                yield from _answer(what, operation, row)


def _content(part: dict[str, Any]) -> dict[str, Any]:
    kinds: list[dict[str, Any]] = [*part.get("content", {}).values()]
    found: dict[str, Any] = kinds[0].get("schema", {}) if kinds else {}
    return found


def _request(what: str, operation: dict[str, Any], row: Row[..., Any, Any]) -> Iterator[Line]:
    body = _content(operation.get("requestBody", {}))
    theirs = {
        (parameter["in"], parameter["name"]): _shape(parameter.get("schema", {}), {})
        for parameter in operation.get("parameters", [])
    }
    schema = _our_schema(row.model)
    ours: dict[tuple[str, str], str] = {}
    in_body = False
    for name, field in row.model.model_fields.items():
        place = ("path", name) if f"{{{name}}}" in row.endpoint.path else None
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
        yield Line(f"{what} {key[0]} {key[1]}", theirs.get(key, _ABSENT), ours.get(key, _ABSENT))
    wanted = body.get("$ref", "").rsplit("/", 1)[-1]
    names = [kind.__name__ for kind in row.model.__mro__]
    yield Line(f"{what} request", wanted, wanted if wanted in names or not (wanted or in_body) else names[0])


def _answer(what: str, operation: dict[str, Any], row: Row[..., Any, Any]) -> Iterator[Line]:
    ok = next(answer for status, answer in operation["responses"].items() if status.startswith("2"))
    schema = _content(ok)
    theirs = schema.get("$ref", "").rsplit("/", 1)[-1]
    answer_type = row.answer._type
    ours = (
        answer_type.__name__ if isinstance(answer_type, type) and issubclass(answer_type, BaseModel) else ""
    )
    yield Line(f"{what} answer", theirs, ours)


# --- fields


def models(
    module_names: list[str] | None = None, package: str = "reflexio_async.reflexio.models"
) -> dict[str, type[BaseModel]]:
    """Every model by name; of two with one name, today's."""
    names = module_names or [
        module.name
        for module in iter_modules(reflexio_async.reflexio.models.__path__)
        if module.name not in ("legacy", "feedback", "problems")
    ]
    found: dict[str, type[BaseModel]] = {}
    for name in names:
        for value in vars(import_module(f"{package}.{name}")).values():
            if isinstance(value, type) and issubclass(value, BaseModel):
                found.setdefault(value.__name__, value)
    return found


def fields() -> Iterator[Line]:
    """Every field of every schema of both contracts: whether it must be given, its type and default."""
    yield from _schemas(CONTRACT["components"]["schemas"], models(), "")
    legacy = {**models(), **models(["legacy", "feedback"])}
    yield from _schemas(LEGACY["components"]["schemas"], legacy, "legacy ")


def _schemas(
    schemas: dict[str, Any],
    ours: dict[str, type[BaseModel]],
    prefix: str,
    enums_in: str = "reflexio_async.reflexio.models.enums",
) -> Iterator[Line]:
    enums = {
        name: value
        for name, value in vars(import_module(enums_in)).items()
        if isinstance(value, type) and issubclass(value, Enum)
    }
    for name, schema in schemas.items():
        if "enum" in schema:
            mine = enums.get(name)
            words = sorted(member.value for member in mine) if mine else _ABSENT
            yield Line(f"{prefix}{name}", str(sorted(schema["enum"])), str(words))
        elif "properties" in schema:
            yield from _fields(prefix + name, schema, schemas, ours.get(name))


def _fields(
    name: str, schema: dict[str, Any], schemas: dict[str, Any], model: type[BaseModel] | None
) -> Iterator[Line]:
    if model is None:
        yield Line(name, "a schema", _ABSENT)
        return
    request = issubclass(model, RequestModel)
    mine = _our_schema(model)
    wire = {
        info.serialization_alias or info.alias or field: field
        for field, info in model.model_fields.items()
        if not info.exclude
    }
    places = {field for field, info in model.model_fields.items() if _elsewhere(info.metadata)}
    for field in sorted(set(schema["properties"]) | set(wire)):
        theirs = our = _ABSENT
        if field in schema["properties"]:
            given = schema["properties"][field]
            theirs = _described(given, schemas, required=field in schema.get("required", []), strict=request)
        if field in wire:
            local = wire[field]
            if theirs is _ABSENT and local in places:
                continue  # compared with the parameters of its route
            ours_field = mine["properties"][local]
            required = local in mine.get("required", [])
            our = _described(ours_field, mine.get("$defs", {}), required=required, strict=request)
        yield Line(f"{name}.{field}", theirs, our)


def _elsewhere(metadata: list[Any]) -> bool:
    return any(mark is Query or isinstance(mark, Query | Header) for mark in metadata)


def _our_schema(model: type[BaseModel]) -> dict[str, Any]:
    return TypeAdapter(model).json_schema(by_alias=False)


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


# --- the official client


_OPTIONS = {"request", "wait_for_response", "force_refresh"}


def methods() -> Iterator[Line]:
    """Every method of the official client: its route, and each parameter with its default."""
    client = AsyncReflexioClient(url_endpoint="http://127.0.0.1:1")
    for name, method in OFFICIAL["methods"].items():
        call = getattr(client, name, None)
        if call is None:
            yield Line(f"{name}()", "a method", _ABSENT)
            continue
        row = rows(AsyncReflexioClient).get(name)
        if row is not None:
            yield Line(
                f"{name}() route",
                f"{method['verb']} {_any_id(method['path'])}",
                f"{row.endpoint.method} {_any_id(row.endpoint.path)}",
            )
        signature = inspect.signature(call)
        for parameter, given in method["parameters"].items():
            if parameter in _OPTIONS:
                continue
            default = given["default"]
            yield Line(
                f"{name}({parameter})",
                _parameter(given.get("position"), default),
                # None stands for "not sent": ours shows the default that the server then takes.
                _our_parameter(signature, parameter, shown=default not in (None, "None")),
            )
    view = rows(SessionView)
    for name in OFFICIAL["session_methods"]:
        found = name in view or name in vars(SessionView)
        yield Line(f"for_session().{name}()", "a method", "a method" if found else _ABSENT)


def _any_id(path: str) -> str:
    return "/".join("{}" if part.startswith("{") else part for part in path.split("/"))


def _parameter(position: int | None, default: str | None) -> str:
    where = "by name" if position is None else "by position or name"
    return f"{where}, default {default}" if default not in (None, "None") else where


def _our_parameter(signature: inspect.Signature, name: str, *, shown: bool) -> str:
    found = signature.parameters.get(name)
    if found is None:
        return _ABSENT
    position = None if found.kind is inspect.Parameter.KEYWORD_ONLY else 0
    return _parameter(position, repr(found.default) if shown else None)


def lines() -> list[Line]:
    """The whole table."""
    return [*routes(), *fields(), *methods()]
