"""The models of requests and responses."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from pydantic import BaseModel

from reflexio_async import legacy
from reflexio_async._engine.models import RequestModel
from reflexio_async.reflect import models as reflect_models
from reflexio_async.reflexio import models as reflexio_models
from sitegen.markdown import code, default_of, docstring, table, type_text
from sitegen.meanings import FIELDS, MEANINGS
from sitegen.objects import members

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType


def exported(module: ModuleType) -> dict[str, Any]:
    """The names that a module of models exports."""
    return {name: getattr(module, name) for name in module.__all__}


SERVICES = {
    name: model for module in (reflexio_models, reflect_models) for name, model in exported(module).items()
}
"""The models of today's services, by name."""
JANUARY = {name: model for name, model in exported(legacy).items() if SERVICES.get(name) is not model}
"""January's models that are not today's, by name."""


def of_modules(models: dict[str, Any], modules: Iterable[str]) -> dict[str, Any]:
    """Those of ``models`` that these modules, below the package, define."""
    wanted = {f"reflexio_async.{name}" for name in modules}
    # What is no class, such as a union, has no module of ours.
    if "reflexio_async.reflexio.models.literals" in wanted:
        wanted |= {"typing", "types", ""}
    return {name: model for name, model in models.items() if getattr(model, "__module__", "") in wanted}


def text(models: dict[str, Any]) -> str:
    """The sections about ``models``, by name."""
    return "\n\n".join(section(name, models[name]) for name in sorted(models))


def section(name: str, model: Any) -> str:
    """The section about one model, enumeration or alias."""
    alias: Any = model
    parts = [f"### `{name}`", docstring(model).text]
    if isinstance(model, type) and issubclass(model, Enum):
        parts.append(members(model))
    elif isinstance(model, type) and issubclass(model, BaseModel):
        parts.append(fields_table(model))
    else:
        union: Any = get_args(alias)[0] if get_origin(alias) is Annotated else alias
        kinds = [code(type_text(kind)) for kind in get_args(union)]
        parts = [
            f"### `{name}`",
            f"One of {', '.join(kinds)}." if kinds else f"The text `{model}`.",
        ]
    return "\n\n".join(part for part in parts if part)


def fields_table(model: type[BaseModel]) -> str:
    """The table of a model's fields."""
    about = docstring(model)
    known = MEANINGS if issubclass(model, RequestModel) else FIELDS
    rows: list[tuple[str, str, str, str]] = []
    for name, field in model.model_fields.items():
        meaning = field.description or about.about(name) or known.get(name, "")
        rows.append(
            (code(name), code(type_text(field.annotation)), default_of(field), meaning.replace("``", "`"))
        )
    return table(("field", "type", "default", "meaning"), rows)
