"""The ids of ``rerun``: files of any editor and spreadsheet, arguments, duplicates, thousands."""

from __future__ import annotations

import json
import shlex
import signal
from typing import TYPE_CHECKING

import pytest

from reflexio_async.cli.ids import read_ids
from reflexio_async.errors import InvalidRequest
from tests.cli.commands import eventually, sandbox_in_thread

if TYPE_CHECKING:
    from pathlib import Path

    from reflexio_async.sandbox import Sandbox
    from tests.cli.commands import Run, Start


@pytest.mark.parametrize(
    ("content", "column", "found"),
    [
        (b"a\r\nb\r\n", None, ["a", "b"]),
        (b"a\rb\r", None, ["a", "b"]),
        (b"\xef\xbb\xbfa\n\n \n# b\nc", None, ["a", "c"]),
        ("\u00e4\nb\n".encode("utf-16"), None, ["\u00e4", "b"]),
        ("\ufeffa\r\nb".encode("utf-16-be"), None, ["a", "b"]),
        (b"Smith, Ana\nbo\n", None, ["Smith, Ana", "bo"]),
        (b"id", None, ["id"]),
        (b"name,id\nAna,a1\n\nBo,b2\n", "id", ["a1", "b2"]),
        (b"name;id\r\nAna;a1\r\nBo;b2\r\n", "id", ["a1", "b2"]),
        (b"name\tid\nAna\ta1\n", "id", ["a1"]),
        (b"a1,Ana\nb2,Bo\n", "1", ["a1", "b2"]),
        (b'"a,1","x\ny"\n"b2",z\n', "1", ["a,1", "b2"]),
        (b'"u1"\n"u2"\n', "1", ["u1", "u2"]),
    ],
)
def test_what_is_read(tmp_path: Path, content: bytes, column: str | None, found: list[str]) -> None:
    file = tmp_path / "users.csv"
    file.write_bytes(content)
    assert read_ids(str(file), column) == (found, "")


@pytest.mark.parametrize(
    ("content", "column", "said"),
    [
        (b"name,id\nAna,a\n", "ID", "--column: FILE has no column 'ID'; line 1 has 'name', 'id'"),
        (b"a,b\n", "3", "--column: FILE has no column '3'; line 1 has 'a', 'b'"),
        (b"id,name\na,Ana\n ,Bo\n", "id", "FILE, line 3: there is nothing in the column 'id'"),
        (b"name,id\nAna\n", "id", "FILE, line 2: there is nothing in the column 'id'"),
        (b"\n\n", "id", "FILE: no ids in it; put one on each line"),
    ],
)
def test_a_table_that_is_wrong(tmp_path: Path, content: bytes, column: str, said: str) -> None:
    file = tmp_path / "users.csv"
    file.write_bytes(content)
    with pytest.raises(InvalidRequest) as raised:
        read_ids(str(file), column)
    assert str(raised.value) == said.replace("FILE", str(file))


def test_duplicates_are_left_out_counted_and_named(run: Run, box: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "users.txt"
    file.write_text("u1\nu2\n\nu1\nu2\nu1\n")
    done = run("rerun", "--users", str(file), "--url", box.url)
    assert (done.exit_code, done.stdout) == (0, "2 completed\n")
    assert f"{file}: 3 duplicates left out; the first is 'u1', line 4 and line 1\n" in done.stderr
    assert len(box.operations()) == 2


def test_duplicate_arguments_too(run: Run, box: Sandbox) -> None:
    done = run("rerun", "u1", "--user", "u1", "--url", box.url)
    assert done.stdout == "1 completed\n"
    assert "the arguments: 1 duplicate left out; the first is 'u1', number 2 and number 1\n" in done.stderr


def test_five_thousand_users(run: Run, box: Sandbox) -> None:
    ids = "\n".join(f"user-{number}" for number in range(5000))
    plan = json.loads(run("rerun", "--users", "-", "--dry-run", "--json", "--url", box.url, stdin=ids).stdout)
    assert (plan["users"], plan["requests"], plan["seconds"]) == (5000, 5000, 999 * 60.0)


def test_users_as_arguments_are_in_the_command_that_goes_on(start: Start, tmp_path: Path) -> None:
    with sandbox_in_thread(rerun_seconds=0.5) as box:
        users = ["it's me", "-b", "$HOME"]
        for user in users:
            box.seed(user, "hello")
        options = ["--url", box.url, "--store", str(tmp_path / "night.db")]
        process = start("rerun", *options, "--", *users)
        eventually(box.operations)
        process.signal(signal.SIGINT)
        _, _, err = process.end()
        (line,) = [line for line in err.splitlines() if line.startswith("continue with: ")]
        again = shlex.split(line.removeprefix("continue with: "))
        assert again == ["reflexio-async", "rerun", *options, "--", *users]
        assert start(*again[1:]).end()[:2] == (0, "3 completed\n")
        assert len(box.operations()) == 3
