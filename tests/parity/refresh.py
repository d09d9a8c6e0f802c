"""``python -m tests.parity.refresh``: write anew what the official packages say and send.

The packages are those of ``tests/environments.py``; their environments are built if need be. For a new
release set its version there, run this, look at the difference in git, and then at what
``python -m tests.parity --differences`` finds. The schemas of January's contract are those of
reflexio-commons; its paths, and Reflect's contract, were written by hand: no server publishes them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any, cast

from reflexio_async.testing import RealServer
from reflexio_async.testing.real_server import REFLEXIO_AI_VERSION, REFLEXIO_SERVER, server_python
from tests.environments import (
    REFLECT_SDK,
    REFLECT_SDK_VERSION,
    REFLEXIO_CLIENT,
    REFLEXIO_CLIENT_VERSION,
    REFLEXIO_COMMONS,
    WHOLE_REFLECT_SDK,
    WHOLE_REFLECT_SDK_VERSION,
)
from tests.parity.compare import HERE
from tests.parity.official_data import FOLDER

if TYPE_CHECKING:
    from reflexio_async.testing.environments import Environment

CONTRACT = HERE / "reflexio.openapi.json"
JANUARY = HERE / "reflexio-legacy.openapi.json"
PACKAGES = {
    "reflexio-ai": (REFLEXIO_AI_VERSION, REFLEXIO_SERVER, "reflexio"),
    "reflexio-client": (REFLEXIO_CLIENT_VERSION, REFLEXIO_CLIENT, "reflexio"),
    "reflect-sdk": (REFLECT_SDK_VERSION, REFLECT_SDK, "reflect_sdk"),
    # Its response types are its own, with the names of older releases.
    "reflect-sdk-0.3.3": (WHOLE_REFLECT_SDK_VERSION, WHOLE_REFLECT_SDK, "reflect_sdk"),
}
"""By distribution: its version, its environment, and the package that it installs."""

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
    info = {"title": "reflexio wire contract", "version": REFLEXIO_AI_VERSION}
    document = {"openapi": spec["openapi"], "info": info}
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


def recorded(distribution: str) -> str:
    """The file of one official package, as ``tests/parity/record_official.py`` gives it."""
    version, environment, package = PACKAGES[distribution]
    return _as_lines({"version": version, **_record(environment, package)})


def _record(environment: Environment, package: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:  # the client loads any .env on its way up
        path = f"{HERE.parents[1]}:{HERE / 'stand_ins'}"
        done = subprocess.run(
            [environment.python(), "-m", "tests.parity.record_official", package],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": folder, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
    return cast("dict[str, Any]", json.loads(done.stdout))


def _as_lines(document: dict[str, Any]) -> str:
    """JSON with one line for each name and call, so that a difference in git can be read."""
    sections: list[str] = []
    for section, content in document.items():
        if isinstance(content, dict):
            parts = cast("dict[str, Any]", content).items()
            lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(part)}" for name, part in parts)
            sections.append(f" {json.dumps(section)}: {{\n{lines}\n }}")
        else:
            sections.append(f" {json.dumps(section)}: {json.dumps(content)}")
    return "{\n" + ",\n".join(sections) + "\n}\n"


def main() -> None:
    """Write the files."""
    CONTRACT.write_text(json.dumps(contract(), indent=1) + "\n")
    JANUARY.write_text(json.dumps(january(), indent=1, sort_keys=True) + "\n")
    for distribution in PACKAGES:
        (FOLDER / f"{distribution}.json").write_text(recorded(distribution))
    print(f"wrote the contracts, and in {FOLDER.name}/ {', '.join(PACKAGES)}")  # noqa: T201  # its purpose


if __name__ == "__main__":
    main()
