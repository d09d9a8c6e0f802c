"""Run by the Python of ``REFLEXIO_COMMONS``: what January's own models say.

Without input: prints the JSON schema of every model. With a list of ``[model, body, whole]`` on standard
input: prints for each what the model says against the body, or null (see ``problem``).
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from pydantic.json_schema import models_json_schema

MODELS: dict[str, type[BaseModel]] = {
    name: value
    for module in (
        "config_schema",
        "api_schema.login_schema",
        "api_schema.retriever_schema",
        "api_schema.service_schemas",
    )
    for name, value in vars(import_module(f"reflexio_commons.{module}")).items()
    if isinstance(value, type) and issubclass(value, BaseModel) and value is not BaseModel
}


def schemas() -> dict[str, Any]:
    """The JSON schema of every model, by its name."""
    _, document = models_json_schema(
        [(model, "validation") for model in MODELS.values()], ref_template="#/components/schemas/{model}"
    )
    return cast("dict[str, Any]", document["$defs"])


def problem(name: str, body: Any, *, whole: bool) -> str | None:
    """What the model ``name`` says against ``body``: a refusal, or keys that it does not write itself.

    ``whole``: it must hold every field, as the model's own JSON does. Else it may leave out defaults.
    January's servers leave out nulls on most routes and write them on others, so a null counts as absent.
    """
    try:
        value = MODELS[name].model_validate(body)
    except ValidationError as error:
        return str(error)
    written = value.model_dump(mode="json", exclude_unset=not whole)
    return (
        None
        if _without_nulls(written) == _without_nulls(body)
        else f"{body} is not as the model writes it: {written}"
    )


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        parts = cast("dict[str, Any]", value)
        return {name: _without_nulls(part) for name, part in parts.items() if part is not None}
    if isinstance(value, list):
        return [_without_nulls(part) for part in cast("Any", value)]
    return value


if __name__ == "__main__":
    given = sys.stdin.read()
    if given:
        said: Any = [problem(name, body, whole=whole) for name, body, whole in json.loads(given)]
    else:
        said = schemas()
    sys.stdout.write(json.dumps(said))
