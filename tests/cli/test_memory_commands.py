"""The commands about what is stored and learned: in a pipe, as JSON, and on terminals wide and narrow."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING

import pytest

from reflexio_async.sandbox import faults
from tests.cli.terminal import on_terminal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from reflexio_async.sandbox import Sandbox
    from tests.cli.commands import Run
    from tests.cli.terminal import Screen

needs_pty = pytest.mark.skipif(sys.platform == "win32", reason="has no pseudo-terminals")

UUID = re.compile(r"[0-9a-f-]{32,36}$")


@pytest.fixture
def filled(box: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A sandbox that has learned something of ana. Commands find it by the environment."""
    monkeypatch.setenv("REFLEXIO_API_URL", box.url)
    monkeypatch.setenv("REFLECT_API_URL", box.reflect_url)
    monkeypatch.setenv("REFLECT_API_KEY", box.reflect_key)
    for args in (
        ("publish", "I like sushi", "--user", "ana", "--session", "s1", "--learn-now", "--wait"),
        ("playbooks", "add", "Be kind to everybody", "--user", "ana"),
        ("playbooks", "add", "Ask for the order number", "--agent"),
        ("traces", "create", "-", "--task", "Book a table", "--result", "pass", "--wait"),
    ):
        done = run(*args, stdin="done" if args[0] == "traces" else None)
        assert done.exit_code == 0, done.output
    return box


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Screen]:
    return on_terminal(monkeypatch)


LISTS = [
    (["profiles", "list"], "I like sushi"),
    (["profiles", "list", "--user", "ana"], "I like sushi"),
    (["profiles", "search", "sushi", "--user", "ana"], "I like sushi"),
    (["playbooks", "list"], "Be kind to everybody"),
    (["playbooks", "list", "--user", "ana", "--status", "current"], "Be kind to everybody"),
    (["playbooks", "list", "--agent"], "Ask for the order number"),
    (["playbooks", "list", "--agent", "--status", "pending"], "Ask for the order number"),
    (["playbooks", "search", "kind"], "Be kind to everybody"),
    (["playbooks", "search", "order", "--agent"], "Ask for the order number"),
    (["interactions", "list"], "I like sushi"),
    (["interactions", "list", "--user", "ana"], "I like sushi"),
    (["interactions", "search", "sushi", "--user", "ana"], "I like sushi"),
    (["search", "sushi", "--user", "ana"], "I like sushi"),
    (["search", "order", "--kind", "agent_playbooks"], "Ask for the order number"),
    (["traces", "list"], "Book a table"),
    (["traces", "list", "--review", "reviewed"], "Book a table"),
    (["memories", "query", "Book a table"], "Book a table"),
    (["jobs", "status"], "playbook_generation"),
]


@pytest.mark.usefixtures("filled")
def test_in_a_pipe_each_item_is_a_line_of_cells_between_tabs(run: Run) -> None:
    for args, text in LISTS:
        done = run(*args)
        assert done.exit_code == 0, args
        assert "\x1b" not in done.output
        rows = [line.split("\t") for line in done.stdout.splitlines()]
        assert {len(row) for row in rows} in ({3}, {4}, {5}, {6}), args
        assert any(text in cell for row in rows for cell in row), args


@pytest.mark.usefixtures("filled")
def test_as_json_a_list_has_items_and_their_count(run: Run) -> None:
    for args, text in LISTS:
        done = run(*args, "--json")
        found = json.loads(done.stdout)
        assert (done.exit_code, done.stdout.count("\n")) == (0, 1), args
        assert set(found) == {"items", "count"}
        assert len(found["items"]) == found["count"] > 0
        assert text in json.dumps(found), args


@needs_pty
@pytest.mark.usefixtures("filled")
def test_on_a_terminal_a_list_is_a_table(terminal: Callable[..., Screen]) -> None:
    for args, text in LISTS:
        screen = terminal(*args)
        assert screen.exit_code == 0, args
        assert text in screen.text
        assert "─" in screen.text
        assert "\x1b[1m" in screen.raw


@needs_pty
@pytest.mark.usefixtures("filled")
def test_on_40_columns_each_cell_is_a_line_of_its_own(terminal: Callable[..., Screen]) -> None:
    for args, text in LISTS:
        screen = terminal(*args, columns=40)
        assert screen.exit_code == 0, args
        cells = [line for line in screen.lines if not line.startswith("the server has searched")]
        assert max(map(len, cells)) <= 40, args
        assert text in " ".join(screen.text.split()), args
        assert "─" not in screen.text


@needs_pty
@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("columns", [40, 80, 100, 200])
def test_ids_can_be_copied_whole_on_every_terminal(
    run: Run, terminal: Callable[..., Screen], columns: int
) -> None:
    for args, _ in LISTS:
        ids = {
            cell for line in run(*args).stdout.splitlines() for cell in line.split("\t") if UUID.match(cell)
        }
        screen = terminal(*args, columns=columns)
        assert [each for each in ids if each not in screen.text] == [], args


@needs_pty
@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(("columns", "is_table"), [(80, False), (120, True)])
def test_where_ids_leave_no_room_for_the_rest_each_cell_is_a_line_of_its_own(
    terminal: Callable[..., Screen], columns: int, *, is_table: bool
) -> None:
    screen = terminal("traces", "list", columns=columns)
    assert ("─" in screen.text) is is_table
    assert is_table or re.search(r"^memory: \S+$", screen.text, re.MULTILINE)


@needs_pty
@pytest.mark.parametrize("columns", [40, 80])
def test_an_id_that_is_wider_than_the_terminal_is_one_line(
    box: Sandbox, terminal: Callable[..., Screen], columns: int
) -> None:
    user = "user-" + 20 * "12345"
    box.seed(user, "I like sushi")
    assert f"user: {user}" in terminal("interactions", "list", "--url", box.url, columns=columns).lines


@needs_pty
@pytest.mark.usefixtures("filled")
def test_no_color_means_no_colours(terminal: Callable[..., Screen], monkeypatch: pytest.MonkeyPatch) -> None:
    for args in (
        ("search", "sushi", "--user", "ana"),
        ("doctor",),
        ("whoami", "--url", "http://127.0.0.1:9"),
    ):
        monkeypatch.delenv("NO_COLOR", raising=False)
        assert re.search(r"\x1b\[[0-9;]*3\dm", terminal(*args).raw), args
        monkeypatch.setenv("NO_COLOR", "1")
        assert not re.search(r"\x1b\[[0-9;]*3\dm", terminal(*args).raw), args


@pytest.mark.usefixtures("filled")
def test_a_list_that_may_go_on_says_so(run: Run) -> None:
    done = run("profiles", "list", "--limit", "1")
    assert done.stderr == "these are the first 1; there may be more (--limit)\n"


def test_a_list_without_current_profiles_names_pending_ones(
    run: Run, box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFLEXIO_API_URL", box.url)
    assert run("rerun", "u1").exit_code == 0
    for who in (("--user", "u1"), ()):
        done = run("profiles", "list", *who)
        assert (done.exit_code, done.stdout) == (0, "")
        assert done.stderr.endswith("(--status pending)\n")


@pytest.mark.usefixtures("filled")
def test_a_search_without_a_user_that_finds_nothing_asks_for_one(run: Run) -> None:
    assert "only with --user" in run("search", "sushi", "--kind", "profiles").stderr


@pytest.mark.usefixtures("filled")
def test_nothing_found_is_no_error(run: Run) -> None:
    done = run("profiles", "list", "--user", "nobody")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "nothing found\n")
    assert json.loads(run("profiles", "list", "--user", "nobody", "--json").stdout) == {
        "items": [],
        "count": 0,
    }


@pytest.mark.usefixtures("filled")
def test_context_prints_the_section_of_the_prompt(run: Run) -> None:
    done = run("context", "sushi", "--user", "ana")
    assert done.exit_code == 0
    assert done.stdout.startswith("<reflexio_memory>\n")
    assert "I like sushi" in done.stdout
    found = json.loads(run("context", "sushi", "--user", "ana", "--json").stdout)
    assert found["text"] == done.stdout.rstrip("\n")
    assert found["missing"] is None


def test_context_says_what_is_missing(run: Run, filled: Sandbox) -> None:
    filled.faults.add(faults.status(403, {"detail": "not yours"}), path="/api/search", times=None)
    done = run("context", "sushi", "--user", "ana")
    assert done.exit_code == 1
    assert "something is missing: POST /api/search answered 403: not yours" in done.stderr


@pytest.mark.usefixtures("filled")
def test_what_is_added_is_found(run: Run) -> None:
    done = run("profiles", "add", "-", "--user", "bo", stdin="lives in Oslo")
    assert (done.exit_code, done.stdout) == (0, "added 1 of 1\n")
    assert "lives in Oslo" in run("profiles", "list", "--user", "bo").stdout


@pytest.mark.usefixtures("filled")
def test_profiles_and_playbooks_are_added_from_a_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "many.jsonl"
    file.write_bytes(b'\xef\xbb\xbf{"content": "one"}\r\n\r\n{"content": "two", "user_id": "cy"}\r\n')
    for noun in ("profiles", "playbooks"):
        done = run(noun, "add", "--user", "bo", "--file", str(file), "--json")
        assert json.loads(done.stdout) == {"added": 2}, done.output
        assert "two" in run(noun, "list", "--user", "cy").stdout
        assert "one" in run(noun, "list", "--user", "bo").stdout
    assert run("playbooks", "add", "--agent", "--file", str(file)).exit_code == 2


def test_profiles_are_deleted_by_their_ids(run: Run, filled: Sandbox) -> None:
    profile_id = run("profiles", "list").stdout.split("\t")[0]
    done = run("profiles", "delete", profile_id, "none", "--yes")
    assert (done.exit_code, done.stdout) == (1, "deleted 1 of 2; 1 did not exist\n")
    assert filled.stored_profiles == []


@pytest.mark.usefixtures("filled")
def test_playbooks_are_deleted_by_their_ids(run: Run) -> None:
    for owner in ([], ["--agent"]):
        first = run("playbooks", "list", *owner).stdout.split("\t")[0]
        before = len(run("playbooks", "list", *owner).stdout.splitlines())
        assert run("playbooks", "delete", first, "--yes", *owner).stdout == "deleted 1 of 1\n"
        assert len(run("playbooks", "list", *owner).stdout.splitlines()) == before - 1


@pytest.mark.parametrize(
    "which", [["TURN", "--user", "ana"], ["--session", "s1"], ["--request", "REQUEST"], ["--all"]]
)
def test_interactions_are_deleted(run: Run, filled: Sandbox, which: list[str]) -> None:
    request = next(id_ for id_, stored in filled.stored_requests.items() if stored.user_id == "ana")
    turn = run("interactions", "list", "--user", "ana").stdout.split("\t")[0]
    words = {"REQUEST": request, "TURN": turn}
    done = run("interactions", "delete", "--yes", *(words.get(word, word) for word in which))
    assert done.exit_code == 0, done.output
    assert "sushi" not in run("interactions", "list").stdout


@pytest.mark.parametrize(
    "command", [["profiles", "delete"], ["playbooks", "delete"], ["playbooks", "delete", "--agent"]]
)
@pytest.mark.usefixtures("filled")
def test_all_of_the_organisation_is_deleted(run: Run, command: list[str]) -> None:
    assert run(*command, "--all", "--yes").stdout == "deleted\n"
    found = run(command[0], "list", *command[2:])
    assert found.stdout == ""


def test_without_a_terminal_deletion_wants_yes(run: Run, filled: Sandbox) -> None:
    done = run("profiles", "delete", "--all", stdin="y\n")
    assert done.exit_code == 2
    assert done.stderr == (
        "error: Delete all profiles of the organisation? There is no terminal to ask at: say --yes\n"
    )
    assert filled.stored_profiles


@needs_pty
@pytest.mark.parametrize(("typed", "exit_code"), [("y\n", 0), ("n\n", 1), ("\n", 1), ("\x04", 130)])
def test_on_a_terminal_deletion_asks(
    filled: Sandbox, terminal: Callable[..., Screen], typed: str, exit_code: int
) -> None:
    screen = terminal("profiles", "delete", "--all", typed=typed)
    assert "Delete all profiles of the organisation? [y/N]:" in screen.text
    assert screen.exit_code == exit_code
    assert bool(filled.stored_profiles) == bool(exit_code)


@pytest.mark.usefixtures("filled")
def test_config_is_shown_changed_and_replaced(run: Run, tmp_path: Path) -> None:
    assert run("config", "get", "window_size").stdout == "10\n"
    assert run("config", "get", "agent_success_config.sampling_rate").stdout == "0.05\n"
    done = run("config", "update", "window_size=20", "agent_context_prompt=be kind", "--json")
    assert json.loads(done.stdout)["changed"] == ["agent_context_prompt", "window_size"]
    assert run("config", "get", "nope").stderr == "error: KEY: the configuration has no nope\n"
    assert run("config", "get", "agent_context_prompt").stdout == '"be kind"\n'
    file = tmp_path / "config.json"
    file.write_text(
        run("config", "get", "--show-secrets").stdout.replace('"window_size":20', '"window_size":30')
    )
    assert run("config", "set", str(file)).exit_code == 0
    assert run("config", "get", "window_size").stdout == "30\n"


@pytest.mark.usefixtures("filled")
def test_a_masked_credential_is_not_sent_back(run: Run) -> None:
    run("config", "update", 'api_key_config={"openai": {"api_key": "sk-secret-1234"}}')
    shown = run("config", "get")
    assert "sk-secret-1234" not in shown.stdout
    refused = run("config", "set", "-", stdin=shown.stdout)
    assert refused.exit_code == 2
    assert "a mask, not the credential. config get --show-secrets has the credentials" in refused.stderr
    assert "sk-secret-1234" in run("config", "get", "--show-secrets").stdout


@pytest.mark.usefixtures("filled")
def test_upgrade_promotes_what_a_rerun_has_learned(run: Run) -> None:
    assert run("rerun", "--user", "ana").exit_code == 0
    done = run("upgrade", "--json")
    assert (done.exit_code, json.loads(done.stdout)["promoted"]) == (0, 1)
    again = run("upgrade")
    assert again.exit_code == 1
    assert again.stdout.startswith("nothing was promoted: ")
    assert run("upgrade", "playbooks").exit_code == 1


@pytest.mark.usefixtures("filled")
def test_a_trace_is_sent_reviewed_and_waited_for(run: Run) -> None:
    messages = json.dumps([{"role": "user", "content": "book"}, {"role": "assistant", "content": "done"}])
    sent = run("traces", "create", "-", "--task", "Rent a car", "--json", stdin=messages)
    trace_id = json.loads(sent.stdout)["trace_id"]
    stored = json.loads(run("traces", "wait", trace_id).stdout)
    assert (stored["id"], stored["review_status"]) == (trace_id, "pending")
    reviewed = run("traces", "review", trace_id, "fail", "--feedback", "wrong day", "--wait")
    assert reviewed.exit_code == 0
    assert reviewed.stdout.startswith(f"{trace_id}: reviewed; memory: ")
    assert (
        json.loads(run("traces", "get", trace_id, "--json").stdout)["review"]["feedback_text"] == "wrong day"
    )


@pytest.mark.usefixtures("filled")
def test_a_key_is_made_listed_and_revoked(run: Run) -> None:
    made = json.loads(run("keys", "create", "ci", "--scope", "traces:write", "--json").stdout)
    key_id = made["key"]["id"]
    listed = run("keys", "list").stdout
    assert listed.split("\t")[:2] == [key_id, "ci"]
    assert made["api_key"] not in listed
    assert run("keys", "revoke", key_id, "--yes").stdout == f"{key_id}: revoked\n"


BAD: list[tuple[list[str], str]] = [
    (["profiles", "list", "--limit", "0"], "invalid value for '--limit'"),
    (["profiles", "list", "--status", "new"], "invalid value for '--status'"),
    (["profiles", "search", "x"], "missing option '--user'"),
    (["profiles", "search", "x", "--user", " "], "--user: must not be empty"),
    (["profiles", "add", "x"], "name the user with --user, or a file with --file"),
    (["profiles", "add", "x", "--user", "a", "--file", "-"], "not by both"),
    (["profiles", "delete"], "give the ids of profiles, or --all"),
    (["profiles", "delete", "a", "--all"], "give the ids of profiles, or --all"),
    (["playbooks", "delete", "a"], "invalid value for 'ID'"),
    (["playbooks", "list", "--agent", "--user", "a"], "--agent is about all users: leave out --user"),
    (["playbooks", "list", "--status", "approved"], "--status approved is for playbooks of agents"),
    (["playbooks", "add", "x"], "name the user with --user, or say --agent"),
    (["interactions", "delete", "1"], "name the user with --user"),
    (["interactions", "delete", "--all", "--user", "a"], "--user goes with ids"),
    (["interactions", "delete", "--all", "--session", "a"], "one of --request, --session and --all"),
    (["search", "x", "--kind", "profile"], "invalid value for '--kind'"),
    (["search", "x", "--threshold", "2"], "invalid value for '--threshold'"),
    (["search", "x", "--limit", "1000"], "--limit: must be less than or equal to 100"),
    (["context", "x", "--user", "a", "--timeout", "0"], "timeout must be more than zero seconds"),
    (["config", "update", "window_size"], "KEY=VALUE: expected such as window_size=20, not 'window_size'"),
    (["config", "update", "a=1", "a=2"], "KEY=VALUE: a is given twice"),
    (["config", "update", "widow_size=1"], "widow_size: no such field; did you mean window_size?"),
    (["config", "set", "nowhere.json"], "nowhere.json: cannot be read: No such file or directory"),
    (["upgrade", "--agent-version", "x"], "--agent-version is for playbooks"),
    (["upgrade", "playbooks", "--user", "x"], "--user is for profiles"),
    (["upgrade", "all"], "invalid value for 'profiles|playbooks'"),
    (["traces", "create", "nowhere.json", "--task", "x"], "nowhere.json: cannot be read"),
    (["traces", "create", "-", "--task", "x", "--feedback", "y"], "--feedback goes with --result"),
    (["traces", "create", "-", "--task", "x"], "standard input: empty"),
    (["traces", "review", "x", "good"], "invalid value for 'pass|fail'"),
    (["memories", "query", " "], "task: must not be empty"),
    (["keys", "create", "x"], "missing option '--scope'"),
    (["keys", "list", "--project", ".."], "--project must be the id of a project, not '..'"),
    (
        ["memories", "query", "x", "--url", "localhost"],
        "--url 'localhost' must start with http:// or https://",
    ),
]


@pytest.mark.parametrize(("args", "said"), BAD)
def test_bad_input_is_one_line_and_nothing_is_sent(run: Run, args: list[str], said: str) -> None:
    done = run(*args, stdin="")
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("args", "said"), BAD)
def test_as_json_bad_input_is_an_object_with_the_same_words(run: Run, args: list[str], said: str) -> None:
    done = run(*args, "--json", stdin="")
    assert done.exit_code == 2
    assert said in json.loads(done.stdout)["error"]["message"]
