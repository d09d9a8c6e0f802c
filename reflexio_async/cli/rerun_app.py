"""The command ``rerun``. typer reads annotations at run time: no future annotations here."""

from typing import Annotated

import typer

from reflexio_async._engine.pages.document import check_page_path
from reflexio_async.cli.command_runner import exit_bad_input, run
from reflexio_async.cli.ids import Ids, given_ids, read_ids
from reflexio_async.cli.inputs import check_new_store, check_text, is_there
from reflexio_async.cli.options import (
    ApiKey,
    Debug,
    Log,
    PollInterval,
    Url,
    Verbose,
    WaitTimeout,
    command_text,
    existing_store,
)
from reflexio_async.cli.reporting import reporting
from reflexio_async.errors import InvalidRequest


def rerun(
    context: typer.Context,
    *,
    ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID]...", show_default=False, help="User ids; with --playbooks agent versions."
        ),
    ] = None,
    users: Annotated[
        str | None,
        typer.Option(
            "--users",
            "--ids",
            metavar="FILE|-",
            show_default=False,
            help="A file with one id per line, or - for standard input. "
            "Blank lines and lines that begin with # are skipped.",
        ),
    ] = None,
    column: Annotated[
        str | None,
        typer.Option(
            "--column",
            metavar="NAME|NUMBER",
            show_default=False,
            help="The file is a table (CSV), and the ids are in this column: its heading, or its number "
            "from 1 if it has none.",
        ),
    ] = None,
    user: Annotated[
        list[str] | None,
        typer.Option("--user", metavar="ID", show_default=False, help="One user id; may be repeated."),
    ] = None,
    playbooks: Annotated[
        bool,
        typer.Option(
            "--playbooks", help="Rerun the playbooks of agent versions. The ids are their names, not users."
        ),
    ] = False,
    url: Url = "",
    api_key: ApiKey = "",
    concurrency: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            show_default=False,
            help="How many may be under way at once (16). Today's servers still run one at a time.",
        ),
    ] = None,
    poll_interval: PollInterval = None,
    wait_timeout: WaitTimeout = None,
    source: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default=False, help="Learn only from interactions of this source."),
    ] = None,
    upgrade: Annotated[
        bool,
        typer.Option(
            "--upgrade",
            help="When all have completed, promote the learnt profiles, for the whole organisation. "
            "Unless given, they stay pending.",
        ),
    ] = False,
    store: Annotated[
        str | None,
        typer.Option(
            "--store",
            metavar="FILE|URL",
            show_default=False,
            help="Keep the batch in this file, or in Postgres: the same command goes on with it.",
        ),
    ] = None,
    batch_id: Annotated[
        str | None,
        typer.Option(
            "--batch-id",
            metavar="ID",
            show_default=False,
            help="The name of the batch in the store. Unless given: made of server, organisation, users and "
            "--source, so that the same command means the same batch. With it, users that are in the store "
            "already need not be named again.",
        ),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Run those of the batch again that did not complete.")
    ] = False,
    status: Annotated[
        bool,
        typer.Option("--status", help="Show how far the batches of the store are, and start nothing."),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Check users, server and key, show the plan, and start nothing."),
    ] = False,
    max_failures: Annotated[
        int | None,
        typer.Option(
            "--max-failures",
            min=1,
            metavar="NUMBER",
            show_default=False,
            help="Start nothing more when so many did not complete. Unless given: go on.",
        ),
    ] = None,
    wait_for_server: Annotated[
        bool,
        typer.Option(
            "--wait-for-server",
            help="Wait for a server that is away, now and later, however long that takes. Unless given: an "
            "error now, and one hour later.",
        ),
    ] = False,
    report: Annotated[
        str | None,
        typer.Option(
            "--report",
            metavar="FILE",
            show_default=False,
            help="When the command ends, write a page to this file (HTML): where the time went, what did not "
            "complete and why.",
        ),
    ] = None,
    log: Log = None,
    json_lines: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Write lines of JSON to stdout: an outcome for each user that is done, the progress every "
            "10 seconds, and a summary. Each names its event.",
        ),
    ] = False,
    _debug: Debug = False,
    _verbose: Verbose = False,
) -> None:
    """Learn the profiles of many users anew, or with --playbooks the playbooks of agent versions.

    A server runs one rerun at a time and begins about five a minute. This command queues the rest,
    waits as long as that takes, and goes on when one fails.

    With --store the batch is kept in a file. The same command goes on with it after Ctrl-C, an error, a crash
    or a restart of the machine, and no user is run twice. A second process with the same command joins.

    Ctrl-C starts nothing more and waits for the running rerun; a second Ctrl-C stops at once. SIGTERM and a
    terminal that is closed (SIGHUP) do the same.

    Exit code: 0 all completed, 1 some did not, 2 bad input, 129 stopped by SIGHUP, 130 by Ctrl-C, 143 by
    SIGTERM.

    Example: `reflexio-async rerun --users users.txt --store night.db`
    """
    found = _ids(users, column, [*(ids or []), *(user or [])])
    if not found.ids and not status and batch_id is None:
        or_batch = "" if store is None else ", or a batch of the store with --batch-id"
        exit_bad_input(f"no users: name them, or a file with --users{or_batch}")
    check_text(batch_id=batch_id)
    if store is None and (status or retry_failed or batch_id is not None):
        exit_bad_input("--status, --retry-failed and --batch-id are about a store: name it with --store")
    if status:
        if dry_run or retry_failed:
            exit_bad_input("--status shows what the store holds: leave out --dry-run and --retry-failed")
        from reflexio_async.cli.stored_batch import ShowBatches  # noqa: PLC0415  # slow to load

        run(ShowBatches(existing_store(store), batch_id, json_lines).run)
    if retry_failed:
        store = existing_store(store)
    from reflexio_async.cli.rerun import Rerun  # noqa: PLC0415  # slow to load

    try:
        if store is not None and not is_there(store):
            check_new_store(store)
            if dry_run and found.ids:
                store = None  # looking at it must not make it
        if report is not None:
            check_page_path(report, name="--report")
        with reporting(log) as reporter:
            run(
                Rerun(
                    ids=found.ids,
                    reporter=reporter,
                    note=found.note,
                    playbooks=playbooks,
                    url=url,
                    api_key=api_key,
                    concurrency=concurrency,
                    poll_interval=poll_interval,
                    wait_timeout=wait_timeout,
                    source=source,
                    upgrade=upgrade,
                    json_lines=json_lines,
                    max_failures=max_failures,
                    dry_run=dry_run,
                    wait_for_server=wait_for_server,
                    store=store,
                    batch_id=batch_id,
                    retry_failed=retry_failed,
                    report=report,
                    command=command_text(context, "retry_failed", "users" if users == "-" else ""),
                    is_named=users != "-" or batch_id is not None,
                ).run
            )
    except InvalidRequest as error:
        exit_bad_input(error)


def _ids(file: str | None, column: str | None, given: list[str]) -> Ids:
    if file is not None and given:
        exit_bad_input("give the ids in a file (--users) or one by one, not both")
    if file is None and column is not None:
        exit_bad_input("--column is about a file: name it with --users")
    if file is not None:
        return read_ids(file, column)
    for one in given:
        check_text(user=one)
    return given_ids(given)
