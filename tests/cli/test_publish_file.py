"""``publish --file``: all lines are checked first; what fails is named; the same command again goes on."""

from __future__ import annotations

import json
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async.sandbox import faults
from tests.cli.commands import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from reflexio_async.sandbox import Sandbox
    from tests.cli.commands import Run, Start

PUBLISH = "/api/publish_interaction"
LINES: list[dict[str, Any]] = [
    {"user_id": "ana", "session_id": "s1", "content": "I like sushi"},
    {"user_id": "bo", "session_id": "s2", "interactions": [{"role": "user", "content": "I like tea"}]},
    {"user_id": "cy", "session_id": "s3", "content": "I like it too", "role": "assistant"},
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "chats.jsonl"
    path.write_text("\n".join(map(json.dumps, LINES)), encoding="utf-8")
    return path


def published(box: Sandbox) -> set[tuple[str, str, str]]:
    """User, role and text of all turns that were published by commands."""
    return {
        (stored.user_id, turn.given.role, turn.content)
        for stored in box.stored_requests.values()
        for turn in stored.interactions
        if not stored.user_id.startswith("u")
    }


ALL = {("ana", "user", "I like sushi"), ("bo", "user", "I like tea"), ("cy", "assistant", "I like it too")}


def test_every_line_is_published(run: Run, box: Sandbox, file: Path) -> None:
    done = run("publish", "--file", str(file), "--url", box.url)
    assert (done.exit_code, done.stdout) == (0, "3 published\n")
    assert done.stderr.startswith("lines: 3 of 3 done")
    assert published(box) == ALL


@pytest.mark.parametrize(
    ("ends", "begins"), [("\n", ""), ("\r\n", ""), ("\r\n", "\ufeff"), ("\n\n\n", "\n\n")]
)
def test_windows_line_ends_a_byte_order_mark_and_blank_lines_are_fine(
    run: Run, box: Sandbox, ends: str, begins: str
) -> None:
    content = begins + ends.join(map(json.dumps, LINES)) + ends
    done = run("publish", "--file", "-", "--url", box.url, stdin=content.encode())
    assert done.exit_code == 0, done.output
    assert published(box) == ALL


def test_options_say_what_the_lines_lack(run: Run, box: Sandbox) -> None:
    args = ("--user", "dee", "--session", "s9", "--role", "assistant", "--source", "import")
    done = run("publish", "--file", "-", *args, "--url", box.url, stdin='{"content": "hello"}')
    assert done.exit_code == 0, done.output
    assert published(box) == {("dee", "assistant", "hello")}
    assert [stored.source for stored in box.stored_requests.values() if stored.user_id == "dee"] == ["import"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"user_id,content\nana,hello\n", "lines 1, 2: no JSON object, such as {"),
        (b'{"user_id": "a",\n', "line 1: no JSON from column 17 on; a line is one object, such as {"),
        (b'[{"user_id": "a"}]\n', "line 1: a JSON list; put each of its objects on a line of its own"),
        (b'"hello"\n', "line 1: no JSON object, such as {"),
        (b'{"user_id": "a", "content": "x"}\n', "line 1: session_id: Field required"),
        (b'{"user_id": "", "session_id": "s", "content": "x"}\n', "line 1: user_id: must not be empty"),
        (
            b'{"user_id": "a", "session_id": "s", "interactions": []}',
            "line 1: interactions: must not be empty",
        ),
        (b'{"user_id": "a", "session_id": "s", "text": "x"}', "line 1: "),
        (b'{"user_id": "a\xff"}\n', "line 1: not UTF-8 text"),
        ('{"user_id": "a"}\n'.encode("utf-16"), "line 1: not UTF-8 text"),
        (b"[" * 100_000, "line 1: "),
        (b"", "standard input: nothing in it; put one JSON object on each line"),
        (b"\xef\xbb\xbf\r\n", "standard input: nothing in it"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_sent(run: Run, box: Sandbox, content: bytes, said: str) -> None:
    good = b'{"user_id": "ana", "session_id": "s", "content": "x"}\n'
    for given in (content, content + b"\n" + good if content.strip(b"\xef\xbb\xbf\r\n") else content):
        done = run("publish", "--file", "-", "--url", box.url, stdin=given)
        assert (done.exit_code, done.stdout) == (2, ""), done.output
        assert said in done.stderr
        assert len(done.stderr) < 1000
    assert published(box) == set()


def test_every_bad_line_is_named(run: Run) -> None:
    lines = [json.dumps(LINES[0]), "x", json.dumps(LINES[1]), '{"user_id": "a"}', *["y"] * 40]
    done = run("publish", "--file", "-", "--json", stdin="\n".join(lines))
    error = json.loads(done.stdout)["error"]
    assert [each["line"] for each in error["lines"]] == [2, 4, *range(5, 45)]
    assert error["lines"][1]["message"] == "session_id: Field required; interactions: Field required"
    assert error["message"] == (
        "standard input: nothing was sent, because of lines 2, 5, 6, 7, 8 and 36 more: no JSON object, such "
        "as {…}; line 4: session_id: Field required; interactions: Field required"
    )


def test_two_lines_with_one_request_id_are_refused(run: Run) -> None:
    line = json.dumps({**LINES[0], "request_id": "r1"})
    done = run("publish", "--file", "-", stdin=f"{line}\n{json.dumps(LINES[1])}\n{line}")
    assert done.exit_code == 2
    assert "line 3: request_id 'r1' is already on line 1" in done.stderr


def test_two_equal_lines_are_two_messages(run: Run, box: Sandbox) -> None:
    line = json.dumps(LINES[0])
    assert run("publish", "--file", "-", "--url", box.url, stdin=f"{line}\n{line}").stdout == "2 published\n"
    assert len([stored for stored in box.stored_requests.values() if stored.user_id == "ana"]) == 2


def test_a_file_that_is_not_there(run: Run, tmp_path: Path) -> None:
    done = run("publish", "--file", str(tmp_path / "none"))
    assert done.stderr == f"error: {tmp_path}/none: cannot be read: No such file or directory\n"
    assert "Is a directory" in run("publish", "--file", str(tmp_path)).stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["hello", "--file", "x"], "give the message as TEXT or by --file, not by both"),
        (["--file", "x", "--wait"], "--wait is for one message"),
        (["hello"], "name the user with --user and the session with --session, or a file with --file"),
    ],
)
def test_options_that_exclude_each_other(run: Run, args: list[str], said: str) -> None:
    done = run("publish", *args)
    assert done.exit_code == 2
    assert said in done.stderr


def test_a_line_that_fails_is_named_and_the_same_command_publishes_it(
    run: Run, box: Sandbox, file: Path
) -> None:
    box.faults.add(faults.refused("disk full"), path=PUBLISH)
    args = ("publish", "--file", str(file), "--url", box.url)
    first = run(*args)
    assert first.exit_code == 1
    assert "failed: POST /api/publish_interaction was refused: disk full" in first.stderr
    assert "the same command again publishes what is missing, and nothing twice" in first.stderr
    again = run(*args, "--json")
    assert again.exit_code == 0
    found = json.loads(again.stdout)
    assert (found["count"], found["published"], found["published_before"]) == (3, 1, 2)
    assert [item["line"] for item in found["items"]] == [1, 2, 3]
    assert published(box) == ALL
    assert len(box.stored_requests) == 4 + 3


def test_as_json_each_line_has_its_state_and_error(run: Run, box: Sandbox, file: Path) -> None:
    box.faults.add(faults.refused("no"), path=PUBLISH, times=None)
    done = run("publish", "--file", str(file), "--url", box.url, "--json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["failed"]) == (1, 3)
    assert {item["error"]["type"] for item in found["items"]} == {"RequestRefused"}


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
def test_after_ctrl_c_the_same_command_publishes_the_rest(start: Start, box: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "many.jsonl"
    file.write_text("\n".join(json.dumps({**LINES[0], "content": f"text {n}"}) for n in range(20)))
    box.faults.add(faults.delay(0.3), path=PUBLISH, times=None)
    args = ("publish", "--file", str(file), "--url", box.url, "--json")
    process = start(*args)
    eventually(lambda: len(published(box)) >= 4 or process.child.poll() is not None)
    process.signal(signal.SIGINT)
    exit_code, out, err = process.end()
    assert exit_code == 130
    assert "stopping: no more lines are sent" in err
    left = json.loads(out)
    assert left["count"] == 20
    assert 0 < left["published"] < 20
    box.faults.clear()
    exit_code, out, _ = start(*args).end()
    found = json.loads(out)
    assert exit_code == 0
    assert found["published_before"] >= left["published"]
    assert found["published"] + found["published_before"] == 20
    assert len(published(box)) == 20
