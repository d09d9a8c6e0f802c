"""The page about tests."""

from __future__ import annotations

import inspect

from reflexio_async import pytest_plugin, testing
from reflexio_async.sandbox.fault_config import ACTIONS
from reflexio_async.testing import conformance, faults
from sitegen.markdown import code, docstring, table
from sitegen.objects import function, section

THINGS = (
    testing.Sandbox,
    testing.VirtualClock,
    testing.SandboxThread,
    testing.ReflectSettings,
    testing.Record,
    testing.NotStored,
    testing.RealServer,
    testing.NotInstallable,
    testing.NoPython,
    conformance.AdapterConformance,
    testing.Faults,
    testing.Fault,
    testing.Action,
)
"""The classes, those first that are used most."""
FIXTURES = (
    "reflexio_sandbox",
    "reflexio_client",
    "reflect_client",
    "reflexio_clock",
    "reflexio_sandbox_options",
    "reflexio_sandbox_thread",
)


SCRIPTS = """\
A script of faults (`reflexio-async sandbox --faults FILE`, or `Faults.from_toml`) has a table `[[fault]]`
for each, with `action` and what stands beside it. These keys say for which requests, and how often: `method`,
`path`, `user`, `times` (a number, or `"always"`), `after`, `chance` and `seed`.

```toml
[[fault]]
action = "internal_error"          # 500, and the connection dropped without a word
method = "POST"
path = "/api/publish_interaction"
times = "always"                   # or a number; 1 unless given
chance = 0.1                       # of the requests that fit, one in ten,
seed = 7                           # the same ones in every run

[[fault]]
action = "delay"
seconds = 30
user = "ana"                       # the user_id of body or query
after = 2                          # the first two that fit pass
```"""


def _actions() -> str:
    rows = [
        (
            code(name),
            ", ".join(map(code, action.parameters)),
            docstring(action.make).summary.replace("\n", " "),
        )
        for name, action in ACTIONS.items()
    ]
    return table(("action", "beside it", "what happens"), rows)


def testing_page() -> str:
    """The page about tests: fixtures, the sandbox, faults."""
    rows = [
        (code(name), docstring(inspect.unwrap(getattr(pytest_plugin, name))).text.replace("\n", " "))
        for name in FIXTURES
    ]
    parts = [
        "# Testing",
        "What tests need imports from `reflexio_async.testing`. The fixtures come with the package.",
        "## Fixtures of pytest",
        docstring(pytest_plugin).text.partition("\n\nEvery pytest run")[0],
        table(("fixture", "what it is"), rows),
        *map(section, THINGS),
        "## Scripted faults",
        docstring(faults).text,
        SCRIPTS,
        _actions(),
    ]
    parts += [function(getattr(faults, name), f"faults.{name}", "###") for name in sorted(ACTIONS)]
    return "\n\n".join(parts)
