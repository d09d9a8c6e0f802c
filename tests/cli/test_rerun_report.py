"""``rerun --report``: a page of what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reflexio_async.sandbox import Sandbox  # noqa: TC001  # of a fixture

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.commands import Run


def test_the_page_has_every_user_and_the_reason_of_each_failure(
    run: Run, box: Sandbox, tmp_path: Path
) -> None:
    page = tmp_path / "night.html"
    done = run("rerun", "--user", "u1", "--user", "nobody", "--report", str(page), "--url", box.url)
    assert done.exit_code == 1
    assert f"the report is in {page}" in done.stderr
    text = page.read_text()
    assert "1 of 2 users completed" in text
    assert "No interactions found matching the specified filters" in text


def test_the_page_of_a_continued_batch_has_what_ended_before(run: Run, box: Sandbox, tmp_path: Path) -> None:
    page, store = tmp_path / "night.html", str(tmp_path / "r.db")
    for _ in range(2):
        run("rerun", "--user", "u1", "--store", store, "--report", str(page), "--url", box.url)
    assert "All 1 user completed" in page.read_text()
    assert "batch rerun-" in page.read_text()


@pytest.mark.parametrize("name", ["missing/night.html", "."])
def test_a_page_that_cannot_be_written_is_refused_before_anything_is_sent(
    run: Run, box: Sandbox, tmp_path: Path, name: str
) -> None:
    done = run("rerun", "--user", "u1", "--report", str(tmp_path / name), "--url", box.url)
    assert done.exit_code == 2
    assert "--report: " in done.stderr
    assert not box.requests


def test_the_page_holds_no_key(run: Run, box: Sandbox, tmp_path: Path) -> None:
    page = tmp_path / "night.html"
    run("rerun", "--user", "u1", "--report", str(page), "--api-key", "top-secret-1", "--url", box.url)
    assert "top-secret-1" not in page.read_text()
