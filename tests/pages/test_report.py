"""`report.to_html`: one page that tells what a batch did. It is opened in a browser."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from reflexio_async import (
    BatchReport,
    InvalidRequest,
    JobFailed,
    JobState,
    JobStatus,
    JobWait,
    Outcome,
    OutcomeState,
    WaitReason,
)
from reflexio_async._engine.batch.picture import report_page
from reflexio_async._engine.rate_limits import Limit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import Page

    from tests.pages.conftest import Open

BEGAN = 1_790_000_000.0
HOSTILE = (
    "<script>document.title='gone'</script>",
    "</script><img src=x onerror=alert(1)>",
    "\"'><b>&amp;${x}\u2028\u2029",
    "\u202eright to left \u05d0\u05d1\u05d2",
    "\ud800 alone",
    "🦊 fox",
    "x" * 500,
    "__proto__",
)


def report_of(keys: Sequence[str]) -> BatchReport[str, Any]:
    """A report in which every seventh key failed, and in which each reason to wait occurs.

    A run takes 4 s, and five are started in a window of 60 s.
    """
    report: BatchReport[str, Any] = BatchReport(
        name="user_ids", batch_id="night", server="http://127.0.0.1:1"
    )
    report.began_at, report.limit = BEGAN, Limit(5, 60.0)
    now = BEGAN
    for number, key in enumerate(keys):
        began, reason = now, None
        if number == 12:
            now, reason = now + 600.0, WaitReason.SERVER_AWAY
        elif number == 13:
            now, reason = now + 100.0, WaitReason.SLOT_TAKEN
        elif number and number % 5 == 0:
            now, reason = now + 40.0, WaitReason.RATE_LIMIT
        waits = () if reason is None else (JobWait(reason, began, now),)
        failed = number % 7 == 3
        status = JobStatus(JobState.FAILED, error="no model")
        error = JobFailed(f"profile_rerun op-{number}(user_id={key}): no model {number}", status=status)
        now += 4.0
        report.outcomes.append(
            Outcome(
                key,
                OutcomeState.FAILED if failed else OutcomeState.COMPLETED,
                error=error if failed else None,
                seconds_queued=now - 4.0 - BEGAN,
                seconds_running=4.0,
                attempts=1,
                ended_at=now,
                waits=waits,
            )
        )
    report.seconds = now - BEGAN
    return report


def users(count: int) -> list[str]:
    return [f"user-{number}" for number in range(count)]


def url_of(path: Path) -> str:
    return path.absolute().as_uri()


@pytest.fixture
def page_of_40(tmp_path: Path) -> str:
    return url_of(report_of(users(40)).to_html(tmp_path / "report.html"))


@pytest.fixture
def page_of_5000(tmp_path: Path) -> Path:
    return report_of(users(5000)).to_html(tmp_path / "report.html")


@pytest.fixture
def hostile_page(tmp_path: Path) -> str:
    keys = [*HOSTILE, *(f"{key} " for key in HOSTILE)]
    return url_of(report_of(keys).to_html(tmp_path / "report.html"))


@pytest.fixture
def empty_page(tmp_path: Path) -> str:
    report: BatchReport[str, Any] = BatchReport()
    return url_of(report.to_html(tmp_path / "report.html"))


def fits(page: Page) -> bool:
    """Whether nothing sticks out of the page at its side."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_it_says_where_the_time_went_and_what_failed(
    open_page: Open, page_of_40: str, width: int, scheme: Literal["light", "dark"]
) -> None:
    with open_page(page_of_40, width=width, scheme=scheme) as page:
        assert page.get_by_role("heading", level=1).inner_text() == "34 of 40 users completed"
        story = page.locator(".story").inner_text()
        assert "The rate limit cost 4 min 40 s, as the server begins 5 in 1 min." in story
        assert re.search(r"The server was away from \d\d:\d\d:\d\d on, for 10 min\.", story)
        assert "Another client had the server's slot" in story
        interruptions = page.get_by_role("table", name="Interruptions")
        assert interruptions.get_by_role("row").count() == 3
        reasons = page.get_by_role("table", name="Reasons, the most frequent first")
        assert reasons.get_by_role("row").nth(1).inner_text().split("\n")[0].split() == [
            "6",
            "failed",
            "no",
            "model",
            "3",
        ]
        assert page.get_by_role("img", name="Timeline of the batch").is_visible()
        assert page.evaluate("document.getElementById('chart').width") > 300
        assert fits(page)


def test_times_are_in_the_readers_zone_with_its_name(open_page: Open, page_of_40: str) -> None:
    with open_page(page_of_40) as page:
        assert "2026-09-21 16:13:20 to " in page.get_by_role("banner").inner_text()
        assert "(Europe/Berlin, UTC+02:00)" in page.get_by_role("banner").inner_text()


def test_the_table_of_all_can_be_filtered_by_outcome_text_and_reason(
    open_page: Open, page_of_40: str
) -> None:
    with open_page(page_of_40) as page:
        found, table = (
            page.get_by_role("status"),
            page.get_by_role("table", name="All, with the time of each"),
        )
        assert found.inner_text() == "40 users"
        page.get_by_role("combobox", name="Outcome").select_option("failed")
        assert found.inner_text() == "6 of 40 users"
        page.get_by_role("combobox", name="Outcome").select_option("")
        page.get_by_label("Find").fill("user-12")
        assert (
            table.get_by_role("row")
            .nth(1)
            .inner_text()
            .startswith("user-12\n10 min while the server was away")
        )
        page.get_by_role("button", name="Show the 6 of this reason").click()
        assert found.inner_text() == "6 of 40 users"


def test_the_keyboard_alone_reads_the_timeline_and_filters(open_page: Open, page_of_40: str) -> None:
    with open_page(page_of_40) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "chart"
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert page.evaluate(outline) == "solid"
        page.keyboard.press("End")
        assert "40 of 40 had ended." in page.locator("#readout").inner_text()
        page.keyboard.press("Home")
        page.keyboard.press("+")
        page.keyboard.press("ArrowRight")
        assert "running" in page.locator("#readout").inner_text()
        for _ in range(20):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id") == "find":
                break
        page.keyboard.type("user-3")
        assert page.get_by_role("status").inner_text() == "11 of 40 users"


def test_hostile_keys_and_reasons_are_text(open_page: Open, hostile_page: str) -> None:
    for width in (400, 1400):
        with open_page(hostile_page, width=width) as page:
            assert page.title() == "14 of 16 users completed: report of a batch"
            rows = page.locator("#rows th bdi").all_inner_texts()
            assert rows[0] == HOSTILE[0]
            assert rows[1] == HOSTILE[1]
            assert rows[3].startswith("\\u202eright to left")
            assert page.locator("main img:not([role])").count() == 0
            assert fits(page)


def test_a_page_of_5000_keys_is_small_and_shows_the_first_hundred(
    open_page: Open, page_of_5000: Path
) -> None:
    assert page_of_5000.stat().st_size < 1_500_000
    with open_page(url_of(page_of_5000)) as page:
        assert page.get_by_role("status").inner_text() == "5,000 users"
        assert page.locator("#rows tr").count() == 100
        page.get_by_role("button", name="Next").click()
        assert page.locator("#page").inner_text() == "101 to 200"
        page.get_by_role("button", name="Zoom in").click()
        page.get_by_label("Order").select_option("key")
        assert page.locator("#rows tr").first.inner_text().startswith("user-0")


def test_without_scripts_it_says_the_same_in_tables(open_page: Open, page_of_40: str) -> None:
    with open_page(page_of_40, script=False) as page:
        assert page.get_by_role("heading", name="Where the time went").is_visible()
        failed = page.get_by_role("table", name="Those that did not complete")
        assert failed.get_by_role("row").count() == 7
        assert not page.get_by_role("button").first.is_visible()


def test_an_empty_report_is_a_page_too(open_page: Open, empty_page: str) -> None:
    with open_page(empty_page) as page:
        assert page.get_by_role("heading", level=1).inner_text() == "Nothing was to be done"


def test_the_policy_of_the_page_lets_only_its_own_script_run(page_of_40: str) -> None:
    page = Path(page_of_40.removeprefix("file://")).read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert re.fullmatch(
        r"default-src 'none'; script-src 'sha256-[\w+/=]+'; style-src 'sha256-[\w+/=]+'; img-src data:; "
        "base-uri 'none'; form-action 'none'",
        policy[1],
    )


def test_a_page_replaces_the_one_before_and_leaves_no_other_file(tmp_path: Path) -> None:
    for count in (3, 4):
        report_of(users(count)).to_html(tmp_path / "report.html")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert "of 4 users completed" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("name", "reason"),
    [("missing/r.html", "there is no folder"), (".", "it is a folder"), ("r\0.html", "null")],
    ids=["no folder", "a folder", "a NUL"],
)
def test_a_path_that_cannot_be_written_is_named_with_the_reason(
    tmp_path: Path, name: str, reason: str
) -> None:
    with pytest.raises(InvalidRequest, match=f"cannot be written: .*{reason}"):
        report_of(users(1)).to_html(f"{tmp_path}/{name}")


def test_a_streamed_batch_that_was_left_is_no_success_in_its_report() -> None:
    report = report_of(users(3))
    report.interrupted = True
    assert ">3 users completed until the batch was interrupted</h1>" in report_page(report)
