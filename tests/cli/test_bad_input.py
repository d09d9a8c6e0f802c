"""Bad input: one clear line on stderr, exit code 2, nothing on stdout."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.hang import A_HANG

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.commands import Run


def refused(run: Run, *args: str, stdin: str | bytes | None = None) -> str:
    done = run(*args, stdin=stdin)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.endswith("\n")
    assert done.stderr.count("\n") == 1
    return done.stderr.removeprefix("error: ").rstrip("\n")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "FILE: no ids in it; put one on each line"),
        (b"# a\n\n  \n", "FILE: no ids in it; put one on each line"),
        (b"a\nb\xfc\n", "FILE, line 2: not UTF-8 text (invalid start byte at byte 2 of the line)"),
        ("a\n".encode("utf-16")[:3], "FILE: it begins as UTF-16 text, and is none; save it as UTF-8"),
        (
            "a\n".encode("utf-16-le"),
            "FILE: not UTF-8 text (it may be UTF-16 without a byte order mark); save it as UTF-8",
        ),
        (
            b"id,name\nu1,Ana\n",
            (
                "FILE, line 1: 'id,name' looks like a row of a table (CSV), not like one id; name the "
                "column of the ids by its heading or its number, such as --column 'id'"
            ),
        ),
        (
            b"\nu1;u2;u3\n",
            (
                "FILE, line 2: 'u1;u2;u3' looks like a row of a table (CSV), not like one id; name the "
                "column of the ids by its heading or its number, such as --column 'u1'"
            ),
        ),
        (
            b"user_id\nu1\nu2\n",
            (
                "FILE, line 1: 'user_id' looks like a heading, not like an id; delete the line, or say "
                "--column 'user_id'"
            ),
        ),
        (b'"u1"\n"u2"\n', 'FILE, line 1: "u1" has quotes, as in a table (CSV); say --column 1'),
        (
            b"a\nb\tBob\n",
            r"FILE, line 2: 'b\tBob' holds a control character; one id per line, nothing else",
        ),
    ],
)
def test_a_bad_users_file(run: Run, tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "users.txt"
    file.write_bytes(content)
    assert refused(run, "rerun", "--users", str(file)) == said.replace("FILE", str(file))
    assert refused(run, "rerun", "--users", "-", stdin=content) == said.replace("FILE", "standard input")


def test_a_users_file_that_cannot_be_read(run: Run, tmp_path: Path) -> None:
    missing = tmp_path / "none.txt"
    assert (
        refused(run, "rerun", "--users", str(missing))
        == f"{missing}: cannot be read: No such file or directory"
    )
    assert refused(run, "rerun", "--users", str(tmp_path)) == f"{tmp_path}: cannot be read: Is a directory"
    assert refused(run, "rerun", "--users", "a\0b").startswith("'a\\x00b': cannot be read: ")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "no users: name them, or a file with --users"),
        (["--user=a", "--users=-"], "not both"),
        (["a", "--users=-"], "not both"),
        (["a", "--column=id"], "--column is about a file: name it with --users"),
        (["--user="], "--user: must not be empty"),
        (["--user=a\udcff"], "--user: not UTF-8 text"),
        (["ana", "--store=r.db", "--batch-id=a\udcff"], "--batch-id: not UTF-8 text"),
        (["--user=a", "--poll-interval=0"], "--poll-interval must be more than zero seconds"),
        (["--user=a", "--poll-interval=-1"], "--poll-interval must be more than zero seconds"),
        (["--user=a", "--poll-interval=nan"], "--poll-interval must be a finite number"),
        (["--user=a", "--wait-timeout=inf"], "--wait-timeout must be a finite number"),
        (["--user=a", "--concurrency=0"], "--concurrency must be a whole number of at least 1"),
        (["--user=a", "--source=No Source"], "--source: "),
        (["--user=a", "--url=localhost:8061"], "must start with http:// or https://"),
        (["--user=a", "--url=http://"], "has no usable host and port"),
        (["--user=a", "--url=http://x:99999"], "--url"),
    ],
)
def test_bad_options_of_rerun(run: Run, args: list[str], said: str) -> None:
    assert said in refused(run, "rerun", *args)


def test_an_error_shows_no_secrets(run: Run) -> None:
    assert "hunter2" not in refused(run, "whoami", "--url", "http://me:hunter2@host")
    assert "hunter2" not in refused(run, "whoami", "--api-key", "hunter2\n'")


def test_nothing_to_publish(run: Run) -> None:
    who = ("publish", "--user", "u", "--session", "s")
    assert "text is empty" in refused(run, *who, " ")
    assert "text is empty" in refused(run, *who, stdin="\n")
    assert "not UTF-8" in refused(run, *who, "-", stdin=b"\xff")
    assert "--user: must not be empty" in refused(run, "publish", "--user", " ", "--session", "s", "hello")
    assert refused(run, "publish", "--user", "u", "--session", "\udcff", "x") == r"'\udcff': not UTF-8 text"
    assert refused(run, "profiles", "delete", "a", "\udcff", "--yes") == r"'\udcff': not UTF-8 text"


def test_a_text_that_is_no_token(run: Run) -> None:
    assert refused(run, "jobs", "wait", "nonsense").startswith("TOKEN: not the token of a job")
    elsewhere = '{"v":1,"kind":"profile_rerun","url":"http://elsewhere","id":"x"}'
    assert "it belongs to http://elsewhere" in refused(run, "jobs", "cancel", elsewhere)
    unknown = '{"v":1,"kind":"learning","url":"http://127.0.0.1:9","id":"x"}'
    assert "cannot be cancelled" in refused(run, "jobs", "cancel", unknown)


def test_options_that_do_not_exist(run: Run) -> None:
    assert run("rerun", "--nonsense").exit_code == 2
    assert run("nonsense").exit_code == 2
    assert run("sandbox", "--dialect", "latin").exit_code == 2


@pytest.mark.parametrize("option", ["--api-key", "--reflect-api-key"])
@pytest.mark.parametrize("key", ["clé", "a\nb", "http://key"])
def test_a_sandbox_refuses_a_key_that_no_client_can_send(run: Run, option: str, key: str) -> None:
    said = refused(run, "sandbox", "--port=0", option, key)
    assert said == f"{option}: expected printable ASCII, and no URL"


@pytest.mark.parametrize("option", ["--api-key", "--reflect-api-key"])
@pytest.mark.parametrize("key", ["abc ", " abc", " "])
def test_a_sandbox_refuses_a_key_with_blanks_around_it(run: Run, option: str, key: str) -> None:
    said = refused(run, "sandbox", "--port=0", option, key)
    assert said == f"{option}: blanks around a key get lost on the way; leave them out"


def test_a_sandbox_refuses_an_endless_rerun(run: Run) -> None:
    said = refused(run, "sandbox", "--port=0", "--rerun-seconds=inf")
    assert said == "--rerun-seconds must be a finite number of seconds, 0 or more, not inf"


@pytest.mark.parametrize("option", ["--data", "--faults"])
def test_a_sandbox_refuses_an_empty_file_name(run: Run, option: str) -> None:
    assert refused(run, "sandbox", "--port=0", option, "") == f"{option}: no file name"


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_its_libraries_the_command_names_what_to_install(missing: str) -> None:
    program = f"import sys; sys.modules[{missing!r}] = None; from reflexio_async.cli import main; main()"
    args = [sys.executable, "-c", program]
    done = subprocess.run(args, check=False, capture_output=True, text=True, timeout=A_HANG)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: the command line needs {missing}, which is not installed: "
        'python -m pip install "reflexio-async[cli]"\n'
    )


@pytest.mark.parametrize(
    ("org", "said"),
    [
        ("acme", "--org: expected NAME=URL,VARIABLE, such as acme=https://reflexio.example,ACME_KEY"),
        ("=http://x,KEY", "--org: expected NAME=URL,VARIABLE"),
        ("a=localhost:8061,KEY", "--org: expected NAME=URL,VARIABLE"),
        ("a=http://x,sk-hunter2", "--org: expected NAME=URL,VARIABLE"),
        (
            "a=http://x,NO_SUCH_VARIABLE",
            "--org: 'a': the environment variable NO_SUCH_VARIABLE is not set, or empty; leave it out if",
        ),
    ],
)
def test_a_worker_refuses_an_organisation_that_is_none(run: Run, org: str, said: str) -> None:
    text = refused(run, "worker", "--store", "postgresql://host/db", "--org", org)
    assert text.startswith(said)
    assert "hunter2" not in text


def test_a_worker_refuses_an_organisation_that_is_given_twice(run: Run) -> None:
    orgs = ("--org", "a=http://x", "--org", "a=http://y")
    assert refused(run, "worker", "--store", "postgresql://host/db", *orgs) == "--org: 'a' is given twice"


def test_ctrl_c_while_the_command_is_loaded_ends_it_quietly() -> None:
    program = """
import sys
class Interrupted:
    def find_spec(self, name, *_):
        if name == "typer":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
from reflexio_async.cli import main
main()
"""
    args = [sys.executable, "-c", program]
    done = subprocess.run(args, check=False, capture_output=True, text=True, timeout=A_HANG)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
