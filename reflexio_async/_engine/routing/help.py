"""What ``help(client.some_call)`` shows, built when asked for: attribute docstrings vanish at run time."""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
from functools import cache
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from reflexio_async._engine.routing.route import Row


def document(row: Row[..., Any, Any]) -> str:
    """Signature, meaning, fields, errors and rate limit of one row."""
    endpoint = row.endpoint
    lines = [
        f"{row.name}{signature(row.shown)}",
        "",
        _attribute_docs(row.owner).get(row.name, ""),
        "",
        f"{endpoint.method} {endpoint.path}",
    ]
    if endpoint.per_minute is not None:
        lines.append(f"Rate limit by the contract: {endpoint.per_minute} a minute.")
    if endpoint.deadline is not None:
        lines.append(f"The server may take {endpoint.deadline:g} s; the call's timeout is raised to that.")
    if row.repeats is not None:
        sent_twice = "repeated" if row.repeats else "not repeated once it may have reached the server"
        lines.append(f"After a failure with unknown outcome it is {sent_twice}.")
    fields = {field: info for field, info in row.model.model_fields.items() if info.description}
    if fields:
        lines += ["", "Fields:", *(f"    {field}: {info.description}" for field, info in fields.items())]
    lines += ["", "Raises InvalidRequest before any I/O, and the errors drawn in reflexio_async.errors."]
    return "\n".join(lines)


def signature(make: Callable[..., Any]) -> inspect.Signature:
    """The keywords of ``make``, without the constraints that pydantic keeps in annotations."""
    if isinstance(make, type(BaseModel)):
        make.model_rebuild()  # models are built when first used; until then they have no signature
    full = inspect.signature(make)
    plain = get_type_hints(make)
    parameters = [
        parameter.replace(annotation=plain.get(name, parameter.annotation))
        for name, parameter in full.parameters.items()
    ]
    return full.replace(parameters=parameters, return_annotation=inspect.Signature.empty)


@cache
def _attribute_docs(owner: type) -> dict[str, str]:
    try:
        parsed = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
    except OSError:
        return {}
    body = parsed.body if isinstance(parsed, ast.ClassDef) else []
    docs: dict[str, str] = {}
    for row, text in itertools.pairwise(body):
        match row, text:
            case ast.Assign(targets=[ast.Name(id=name)]), ast.Expr(value=ast.Constant(value=str() as doc)):
                docs[name] = inspect.cleandoc(doc)
            case _:
                pass
    return docs
