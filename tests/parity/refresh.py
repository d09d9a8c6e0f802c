"""``python -m tests.parity.refresh``: write what the server of ``tests.real_server.VERSION`` says today.

For a new server: set that version, run this, look at the difference in git, and then at what
``python -m tests.parity --differences`` finds.

``python -m tests.parity.refresh january`` writes the schemas of January's contract as reflexio-commons
0.1.0.0 has them. Its paths were written by hand, and do not change any more.

``python -m tests.parity.refresh 0.3.5 …/reflect_sdk/client.py`` does so for the official Reflect client,
from a release that was unpacked somewhere. Reflect's contract was written by hand: no server publishes it.

``python -m tests.parity.refresh names reflexio-client …/reflexio/__init__.py`` notes the public names of a
release that was unpacked somewhere. The first form notes those of the server's own package.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tests.environments import REFLEXIO_COMMONS
from tests.real_server import VERSION, RealServer, server_python

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parent
CONTRACT = HERE / "reflexio.openapi.json"
JANUARY = HERE / "reflexio-legacy.openapi.json"
OFFICIAL = HERE / "official.json"
REFLECT_OFFICIAL = HERE / "reflect_official.json"
NAMES = HERE / "official_names.json"

# Run by the server's own interpreter: its OpenAPI document lacks the configuration and the limits.
_PROGRAM = """
import json, re, sys
from reflexio.models.config_schema import Config
from reflexio.server.api import app

spec = app.openapi()
own = Config.model_json_schema(ref_template="#/components/schemas/{model}")
for name, schema in {**own.pop("$defs"), "Config": own}.items():
    spec["components"]["schemas"].setdefault(name, schema)
limits = {
    function.rsplit(".", 1)[-1]: [str(limit.limit) for limit in found]
    for function, found in app.state.limiter._route_limits.items()
}
for path, verbs in spec["paths"].items():
    for verb, operation in verbs.items():
        for function, found in limits.items():
            if operation["operationId"] == re.sub(r"\\W", "_", function + path) + "_" + verb:
                operation["x-rate-limit"] = found
json.dump(spec, sys.stdout)
"""


def contract() -> dict[str, Any]:
    """The contract of the installed server, without titles and descriptions."""
    with RealServer(rate_limits=False) as server:
        done = subprocess.run(
            [server_python(), "-c", _PROGRAM],
            env=server._environment(),
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
    spec = json.loads(done.stdout[done.stdout.index("{") :])
    document = {"openapi": spec["openapi"], "info": {"title": "reflexio wire contract", "version": VERSION}}
    document["paths"] = {path: _bare(spec["paths"][path]) for path in sorted(spec["paths"])}
    schemas = spec["components"]["schemas"]
    document["components"] = {"schemas": {name: _bare(schemas[name]) for name in sorted(schemas)}}
    return document


def january() -> dict[str, Any]:
    """The committed contract of January, with its schemas as reflexio-commons says them."""
    program = HERE.parent / "official/january.py"
    done = subprocess.run(
        [REFLEXIO_COMMONS.python(), program], input="", stdout=subprocess.PIPE, check=True, text=True
    )
    every: dict[str, Any] = json.loads(done.stdout)
    document: dict[str, Any] = json.loads(JANUARY.read_text())
    needed: dict[str, Any] = {}
    missing = set(_references(document["paths"]))
    while missing:
        name = missing.pop()
        needed[name] = _bare(every[name])
        missing |= set(_references(needed[name])) - needed.keys()
    document["components"] = {"schemas": {name: needed[name] for name in sorted(needed)}}
    return document


def _references(value: Any) -> list[str]:
    """The names of the schemas that a part of a contract refers to."""
    return re.findall(r'"#/components/schemas/(\w+)"', json.dumps(value))


def _bare(value: Any, *, named: bool = False) -> Any:
    """``value`` without titles and descriptions; below ``properties`` those words are names."""
    if isinstance(value, dict):
        return {
            key: _bare(part, named=key == "properties")
            for key, part in cast("dict[str, Any]", value).items()
            if named or key not in ("title", "description", "operationId", "summary", "tags")
        }
    if isinstance(value, list):
        return [_bare(part) for part in cast("Any", value)]
    return value


def _server_file(path: str) -> Path:
    """A file of the package that is installed with the server."""
    (found,) = server_python().parents[1].glob(f"lib/python*/site-packages/reflexio/{path}")
    return found


def public_names(package: Path) -> list[str]:
    """The ``__all__`` of the package whose ``__init__.py`` is given."""
    for node in ast.parse(package.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return sorted(ast.literal_eval(node.value))
    message = f"{package} has no __all__"
    raise ValueError(message)


def note_names(distribution: str, package: Path) -> None:
    """Write the public names of one official package beside those of the others."""
    noted: dict[str, Any] = json.loads(NAMES.read_text()) if NAMES.exists() else {}
    NAMES.write_text(json.dumps({**noted, distribution: public_names(package)}, indent=1) + "\n")


def official() -> dict[str, Any]:
    """The public methods of the official clients: verb, path and parameters."""
    nodes = ast.parse(_server_file("client/client.py").read_text()).body
    classes = {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}
    within = {node.name: node for node in classes["ReflexioClient"].body if isinstance(node, _Function)}
    methods = {
        method.name: {**_route(method, within), "parameters": _parameters(method.args)}
        for method in _public(classes["ReflexioClient"])
    }
    own = ("session_id", "client")
    session = [method.name for method in _public(classes["SessionScopedClient"]) if method.name not in own]
    return {"version": VERSION, "methods": methods, "session_methods": session}


_Function = ast.FunctionDef | ast.AsyncFunctionDef


def _public(owner: ast.ClassDef) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [
        node
        for node in owner.body
        if isinstance(node, _Function)
        and not node.name.startswith("_")
        and not any(ast.unparse(decorator) == "overload" for decorator in node.decorator_list)
    ]


def _route(method: ast.AST, within: Mapping[str, ast.AST]) -> dict[str, str]:
    """The first verb and path in a method's code, or in that of a method which it calls."""
    for node in ast.walk(method):
        if isinstance(node, ast.Call) and len(node.args) >= 2:
            verb, path = node.args[:2]
            if isinstance(verb, ast.Constant) and verb.value in ("GET", "POST", "PUT", "PATCH", "DELETE"):
                text = ast.unparse(path).removeprefix("f").strip("'\"")
                return {"verb": str(verb.value), "path": text.partition("?")[0]}
    called = [node.attr for node in ast.walk(method) if isinstance(node, ast.Attribute)]
    rest = {name: node for name, node in within.items() if node is not method}
    found = (_route(rest[name], rest) for name in called if name in rest)
    return next((route for route in found if route["path"]), {"verb": "", "path": ""})


def _parameters(arguments: ast.arguments) -> dict[str, Any]:
    positional = [argument.arg for argument in arguments.args[1:]]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + [
        ast.unparse(default) for default in arguments.defaults
    ]
    found: dict[str, Any] = {
        name: {"position": position, "default": default}
        for position, (name, default) in enumerate(zip(positional, defaults, strict=True))
    }
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        found[argument.arg] = {"default": ast.unparse(default) if default else None}
    return found


def reflect_official(version: str, client: Path) -> dict[str, Any]:
    """The public methods of the official Reflect client: verb, path and parameters."""
    (owner,) = (
        node
        for node in ast.parse(client.read_text()).body
        if isinstance(node, ast.ClassDef) and node.name == "ReflectClient"
    )
    within = {node.name: node for node in owner.body if isinstance(node, _Function)}
    methods = {
        method.name: {**_reflect_route(method, within), "parameters": _parameters(method.args)}
        for method in _public(owner)
    }
    return {"version": version, "methods": methods}


def _reflect_route(method: ast.AST, within: Mapping[str, ast.AST]) -> dict[str, str]:
    """The first call of ``_get``, ``_post`` or ``_delete``, here or in a method that is called."""
    for node in ast.walk(method):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            verb = node.func.attr.strip("_").removesuffix("_async").upper()
            path = node.args[0]
            if verb in ("GET", "POST", "DELETE"):
                if isinstance(path, ast.Call):  # a path below the project's
                    rest = ast.unparse(path.args[0]).removeprefix("f").strip("'\"")
                    return {"verb": verb, "path": "/v1/projects/{project_id}" + rest}
                return {"verb": verb, "path": ast.unparse(path).strip("'\"")}
    called = [node.attr for node in ast.walk(method) if isinstance(node, ast.Attribute)]
    rest_of = {name: node for name, node in within.items() if node is not method}
    found = (_reflect_route(rest_of[name], rest_of) for name in called if name in rest_of)
    return next((route for route in found if route["path"]), {"verb": "", "path": ""})


def main(arguments: list[str]) -> int:
    """Write the files of the server; or with arguments those of one release (see above)."""
    if arguments == ["january"]:
        JANUARY.write_text(json.dumps(january(), indent=1, sort_keys=True) + "\n")
        return 0
    if arguments and arguments[0] == "names":
        _, distribution, package = arguments
        note_names(distribution, Path(package))
        return 0
    if arguments:
        version, client = arguments
        methods = reflect_official(version, Path(client))
        REFLECT_OFFICIAL.write_text(json.dumps(methods, indent=1) + "\n")
        return 0
    for file, content in ((CONTRACT, contract()), (OFFICIAL, official())):
        file.write_text(json.dumps(content, indent=1) + "\n")
        print(f"wrote {file.name}")  # noqa: T201  # its purpose
    note_names("reflexio-ai", _server_file("__init__.py"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
