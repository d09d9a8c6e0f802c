"""The client against the contracts and the official client's methods (see ``python -m tests.parity``)."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from reflexio_async import AsyncReflectClient, AsyncReflexioClient
from reflexio_async._engine.routing.route import Row
from reflexio_async.reflexio.api.late import LATE, mixin
from tests.parity import compare, reflect
from tests.parity.__main__ import main
from tests.parity.compare import CONTRACT, LEGACY, OFFICIAL, rows
from tests.parity.reasons import REASONS, reason

TABLE = [*compare.lines(), *reflect.lines()]


def test_every_difference_has_a_reason() -> None:
    assert [line for line in TABLE if not line.same and reason(line.what) is None] == []


@pytest.mark.parametrize("pattern", REASONS)
def test_every_reason_is_needed(pattern: str) -> None:
    assert any(re.fullmatch(pattern, line.what) for line in TABLE if not line.same)


def test_the_table_is_whole() -> None:
    assert (len(CONTRACT["paths"]), len(LEGACY["paths"]), len(OFFICIAL["methods"])) == (98, 22, 81)
    assert (len(reflect.CONTRACT["paths"]), len(reflect.OFFICIAL["methods"])) == (12, 28)
    assert len(TABLE) > 2200


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--differences"]) == 0
    assert "0 without a reason" in capsys.readouterr().out


@pytest.mark.parametrize("noun", LATE)
def test_the_list_of_late_rows_is_the_file_s(noun: str) -> None:
    public = {name for name in vars(mixin(noun)) if not name.startswith("_")}
    assert public == set(LATE[noun].split())


def test_every_row_is_called_on_the_real_server() -> None:
    folder = Path(__file__).parents[1] / "api"
    called: set[str] = set()
    for file in folder.glob("test_real_*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                called.add(node.func.attr)
    # These are called by name, from the table of the test.
    called |= set(LATE["feedback"].split())
    assert sorted(name for name in rows(AsyncReflexioClient) if name not in called) == []


@pytest.mark.parametrize(
    "client",
    [
        AsyncReflexioClient(url_endpoint="http://127.0.0.1:1"),
        AsyncReflectClient(base_url="http://127.0.0.1:1"),
    ],
    ids=lambda client: type(client).__name__,
)
def test_every_row_says_what_it_does(client: AsyncReflexioClient | AsyncReflectClient) -> None:
    for name, row in rows(type(client)).items():
        assert isinstance(row, Row)
        first, meaning = getattr(client, name).__doc__.split("\n\n")[:2]
        assert first.startswith(f"{name}(")
        assert len(meaning) > 10, name
