"""The report of a batch as one HTML page: what took the time, what failed and why, and every key."""

from __future__ import annotations

import math
import time
from itertools import pairwise
from string import Template
from typing import TYPE_CHECKING, Any

from reflexio_async._engine.batch.accounting import (
    OTHER,
    RATE_LIMIT,
    RUNNING,
    SERVER_AWAY,
    SLOT_TAKEN,
    Segment,
    extent,
    seconds_of,
    segments,
    windows,
)
from reflexio_async._engine.batch.failures import failure_groups, reason_of
from reflexio_async._engine.batch.report import OutcomeState
from reflexio_async._engine.pages.document import data_script, resource, text, whole_page
from reflexio_async.errors import printable

if TYPE_CHECKING:
    from reflexio_async._engine.batch.failures import FailureGroup
    from reflexio_async._engine.batch.report import BatchReport, Outcome

_NAMES = {"user_ids": ("user", "users"), "agent_versions": ("agent version", "agent versions")}
_ACTIVITY_NAMES = {
    RUNNING: "running",
    RATE_LIMIT: "waiting for the rate limit",
    SERVER_AWAY: "server away",
    SLOT_TAKEN: "slot taken by another client",
    OTHER: "between runs, or not recorded",
}
# The waits for the rate limit are counted. These are listed, as each is an event of its own.
_INTERRUPTIONS = (SERVER_AWAY, SLOT_TAKEN, OTHER)
_SHORTEST_INTERRUPTION = {SERVER_AWAY: 1.0, SLOT_TAKEN: 1.0, OTHER: 60.0}
_SHOWN_INTERRUPTIONS = 50
_SHOWN_GROUPS = 50
_SHOWN_WITHOUT_SCRIPT = 200
_MOST_REASONS = 400_000  # characters of the reasons of single keys


def report_page(report: BatchReport[Any, Any]) -> str:
    """The page."""
    return _Picture(report).page()


class _Picture:
    def __init__(self, report: BatchReport[Any, Any]) -> None:
        self._report = report
        self._one, self._many = _NAMES.get(report.name, (report.name.removesuffix("s"), report.name))
        # In the order in which they were started, those that never were at their end.
        self._outcomes: list[Outcome[Any, Any]] = sorted(
            report.outcomes, key=lambda outcome: (outcome.started_at, outcome.ended_at)
        )
        self._begin, self._end = extent(self._outcomes, report.began_at)
        self._segments = segments(self._outcomes, self._begin, self._end)
        self._groups = failure_groups(self._outcomes)

    def page(self) -> str:
        outcomes, report = self._outcomes, self._report
        left = len(outcomes) - len(report.completed)
        if report.interrupted and not left:
            verdict = f"{self._count(len(outcomes))} completed until the batch was interrupted"
        elif not outcomes:
            verdict = "Nothing was to be done"
        elif not left:
            verdict = f"All {self._count(len(outcomes))} completed"
        else:
            verdict = f"{len(report.completed):,} of {self._count(len(outcomes))} completed"
        body = Template(resource("report.html")).substitute(
            hatch=resource("hatch.svg").strip(),
            look="bad" if left or report.interrupted else "good",
            verdict=text(verdict),
            facts=' <span aria-hidden="true">·</span> '.join(self._facts()),
            states="".join(
                f'<li class="chip {state}">{count:,} {_words(state)}</li>'
                for state, count in report.counts().items()
            ),
            notes="".join(f'<p class="note">{text(note)}</p>' for note in self._notes()),
            time=self._time(),
            interruptions=self._interruptions(),
            failures=self._failures(),
            tiles=self._tiles(),
            one=text(self._one),
            incomplete=self._incomplete(),
            data=data_script(self._data()),
        )
        title = f"{verdict}: report of a batch"
        return whole_page(title, body, style=resource("style.css"), script=resource("report.js"))

    def _count(self, number: int) -> str:
        return f"{number:,} {self._one if number == 1 else self._many}"

    # Parts of the page

    def _facts(self) -> list[str]:
        times = f"{_moment(self._begin)} to {_moment(self._end)}"
        batch = f"batch {self._report.batch_id}" if self._report.batch_id else ""
        names = [text(name) for name in (self._report.server, batch) if name]
        return [times, _long(self._end - self._begin), *names]

    def _notes(self) -> list[str]:
        report, notes = self._report, list[str]()
        if report.interrupted:
            notes.append("The batch was interrupted. What had not ended then is not on this page.")
        if report.upgrade_error is not None:
            notes.append(f"The promotion failed: {report.upgrade_error}")
        elif report.upgrade is not None:
            notes.append("What was learnt was promoted.")
        return notes

    def _time(self) -> str:
        seconds = seconds_of(self._segments)
        whole = sum(seconds.values())
        shares = {name: took for name, took in seconds.items() if took > whole / 500}
        left, bars = 0.0, ""
        for name, took in shares.items():
            width = 100 * took / whole
            bars += f'<rect class="fill-{name}" x="{left:.3f}" y="0" width="{width:.3f}" height="10"/>'
            left += width
        items = "".join(
            f'<li><span class="key fill-{name}"></span><b>{_percent(took / whole)}</b> '
            f"{_ACTIVITY_NAMES[name]}<small>{_long(took)}</small></li>"
            for name, took in sorted(shares.items(), key=lambda share: -share[1])
        )
        return (
            f'<p class="story">{self._story(seconds, whole)}</p>\n<svg class="shares" viewBox="0 0 100 10" '
            f'preserveAspectRatio="none" aria-hidden="true">{bars}</svg>\n<ul class="legend">{items}</ul>'
        )

    def _story(self, seconds: dict[str, float], whole: float) -> str:
        """The same in a few sentences, as HTML."""
        sentences = [f"Jobs ran for {_long(seconds[RUNNING])} of {_long(whole)}."]
        limited = seconds[RATE_LIMIT]
        if limited >= 1:
            limit = self._report.limit
            admits = "" if limit is None else f", as the server begins {limit.hits} in {_long(limit.period)}"
            sentences.append(f"The rate limit cost {_long(limited)}{admits}.")
        for activity, what in (
            (SERVER_AWAY, "The server was away"),
            (SLOT_TAKEN, "Another client had the server's slot"),
        ):
            parts = [part for part in self._segments if part.activity == activity and part.seconds >= 1]
            if len(parts) == 1:
                begins = self._moment(parts[0].began_at)
                sentences.append(f"{what} from {begins} on, for {_long(parts[0].seconds)}.")
            elif parts:
                whole_time = _long(sum(part.seconds for part in parts))
                sentences.append(f"{what} {len(parts):,} times, for {whole_time} in all.")
        if seconds[OTHER] >= max(60.0, whole / 20):
            sentences.append(
                f"For {_long(seconds[OTHER])} nothing ran and no reason was recorded: perhaps no process was "
                "at work."
            )
        return " ".join(sentences)

    def _tiles(self) -> str:
        ran = sorted(outcome.seconds_running for outcome in self._outcomes if outcome.seconds_running > 0)
        queued = [outcome.seconds_queued for outcome in self._outcomes]
        tries = sum(outcome.attempts for outcome in self._outcomes)
        took = self._end - self._begin
        tiles = [
            ("Took", _long(took), f"{_long(max(queued, default=0.0))} was the longest wait in the queue")
        ]
        if took and self._report.completed:
            rate = len(self._report.completed) * 60 / took
            tiles.append(("Completed a minute", f"{rate:,.1f}", "on average, with all waiting"))
        if ran:
            nine = ran[min(len(ran) - 1, math.ceil(len(ran) * 0.9) - 1)]
            note = f"is the median; 9 of 10 ran at most {_long(nine)}, the longest {_long(ran[-1])}"
            tiles.append(("One run", _long(ran[(len(ran) - 1) // 2]), note))
        retried = sum(outcome.attempts > 1 for outcome in self._outcomes)
        tiles.append(("Requests to start", f"{tries:,}", f"{self._count(retried)} needed more than one"))
        return "".join(
            f"<div><dt>{name}</dt><dd><b>{value}</b> {note}</dd></div>" for name, value, note in tiles
        )

    def _interruptions(self) -> str:
        listed = [
            part
            for part in self._segments
            if part.activity in _INTERRUPTIONS and part.seconds >= _SHORTEST_INTERRUPTION[part.activity]
        ]
        waits = [part.seconds for part in self._segments if part.activity == RATE_LIMIT]
        limited = ""
        if waits:
            times = "Once" if len(waits) == 1 else f"{len(waits):,} times"
            limited = (
                f"<p>{times} the rate limit was used up: {_long(sum(waits))} in all, the longest wait "
                f"{_long(max(waits))}.</p>\n"
            )
        if not listed:
            return limited
        longest = sorted(listed, key=lambda part: -part.seconds)[:_SHOWN_INTERRUPTIONS]
        rows = "".join(
            f'<tr><td><span class="key fill-{part.activity}"></span>{_ACTIVITY_NAMES[part.activity]}</td>'
            f"<td>{self._moment(part.began_at)}</td><td>{self._moment(part.ended_at)}</td>"
            f"<td>{_long(part.seconds)}</td></tr>"
            for part in sorted(longest, key=lambda part: part.began_at)
        )
        more = len(listed) - len(longest)
        rest = f", the {len(longest)} longest of {len(listed):,}" if more else ""
        return (
            f'{limited}<div class="scroll"><table><caption>Interruptions{rest}</caption>\n'
            '<thead><tr><th scope="col">What</th><th scope="col">From</th><th scope="col">Until</th>'
            f'<th scope="col">For</th></tr></thead>\n<tbody>{rows}</tbody></table></div>\n'
        )

    def _failures(self) -> str:
        if not self._groups:
            return ""
        rows = "".join(
            f'<tr><td class="number">{len(group.positions):,}</td>'
            f'<td><span class="chip {group.state}">{_words(group.state)}</span></td>'
            f'<td class="reason">{text(group.reason)}<small>{text(group.error)}; '
            f"{self._named(group)}</small></td>"
            f'<td class="needs-script" hidden><button type="button" data-group="{number}">Show'
            f'<span class="sr"> the {len(group.positions):,} of this reason</span></button></td></tr>'
            for number, group in enumerate(self._groups[:_SHOWN_GROUPS])
        )
        more = len(self._groups) - _SHOWN_GROUPS
        rest = f"<p>and {more:,} more reasons, in the table below</p>" if more > 0 else ""
        return (
            '<section aria-labelledby="h-why">\n<h2 id="h-why">What did not complete, and why</h2>\n'
            '<div class="scroll"><table><caption class="sr">Reasons, the most frequent first</caption>\n'
            '<thead><tr><th scope="col" class="number">Number</th><th scope="col">Outcome</th>'
            '<th scope="col">Reason</th><th scope="col" class="needs-script" hidden>'
            f'<span class="sr">Table</span></th></tr></thead>\n<tbody>{rows}</tbody></table></div>{rest}\n'
            "</section>"
        )

    def _named(self, group: FailureGroup) -> str:
        first = [
            f"<bdi>{text(printable(str(self._outcomes[at].key), 60))}</bdi>" for at in group.positions[:3]
        ]
        return ", ".join(first) + (", …" if len(group.positions) > len(first) else "")

    def _incomplete(self) -> str:
        """Those that did not complete, as a table for readers without scripts."""
        failed = [outcome for outcome in self._outcomes if outcome.state is not OutcomeState.COMPLETED]
        if not failed:
            return ""
        rows = "".join(
            f'<tr><th scope="row"><bdi>{text(outcome.key)}</bdi></th><td>{_words(outcome.state)}</td>'
            f"<td>{_moment(outcome.ended_at)}</td><td>{text(reason_of(outcome))}</td></tr>"
            for outcome in failed[:_SHOWN_WITHOUT_SCRIPT]
        )
        is_cut = len(failed) > _SHOWN_WITHOUT_SCRIPT
        rest = f", the first {_SHOWN_WITHOUT_SCRIPT} of {len(failed):,}" if is_cut else ""
        return (
            f'<div class="scroll"><table><caption>Those that did not complete{rest}</caption>\n'
            '<thead><tr><th scope="col">Name</th><th scope="col">Outcome</th><th scope="col">Ended</th>'
            f'<th scope="col">Reason</th></tr></thead>\n<tbody>{rows}</tbody></table></div>'
        )

    def _moment(self, epoch: float) -> str:
        """A time of the batch: without the date, where the batch has one date."""
        has_one_date = time.localtime(self._begin)[:3] == time.localtime(self._end)[:3]
        return _moment(epoch, short=has_one_date)

    # For the script

    def _data(self) -> dict[str, Any]:
        """Everything that the script draws. Times are milliseconds since the begin."""
        outcomes = self._outcomes
        group_of: dict[int, int] = {}
        for number, group in enumerate(self._groups):
            group_of |= dict.fromkeys(group.positions, number)
        reasons: dict[int, str] = {}
        room = _MOST_REASONS
        for position in sorted(group_of):
            reason = reason_of(outcomes[position])
            if reason != self._groups[group_of[position]].reason and room > 0:
                reasons[position] = reason
                room -= len(reason)
        starts = [outcome.started_at for outcome in outcomes if _was_started(outcome)]
        return {
            "begin": self._begin,
            "span": self._ms(self._end),
            "one": self._one,
            "many": self._many,
            "limit": self._report.limit,
            "segments": [_packed(self._ms, part) for part in self._segments],
            "windows": [[self._ms(at), used] for at, used in windows(starts, self._report.limit)],
            "groups": [[group.state, group.reason] for group in self._groups],
            "keys": [printable(str(outcome.key)) for outcome in outcomes],
            "states": [outcome.state for outcome in outcomes],
            "queued": [self._ms(outcome.queued_at) for outcome in outcomes],
            "started": [self._ms(outcome.started_at) for outcome in outcomes],
            "ended": [self._ms(outcome.ended_at) for outcome in outcomes],
            "tries": [outcome.attempts for outcome in outcomes],
            "group": group_of,
            "reasons": reasons,
            "waits": {
                position: [
                    _packed(self._ms, Segment(wait.reason.value, wait.began_at, wait.ended_at))
                    for wait in outcome.waits
                ]
                for position, outcome in enumerate(outcomes)
                if outcome.waits
            },
        }

    def _ms(self, epoch: float) -> int:
        return round((epoch - self._begin) * 1000)


def _packed(ms: Any, part: Segment) -> list[str | int]:
    return [part.activity, ms(part.began_at), ms(part.ended_at)]


def _was_started(outcome: Outcome[Any, Any]) -> bool:
    return outcome.seconds_running > 0 or outcome.state is OutcomeState.COMPLETED


def _moment(epoch: float, *, short: bool = False) -> str:
    """A time with its zone, or ``short``: without date and zone. The script shows it in the reader's zone."""
    here = time.localtime(epoch)
    offset = time.strftime("%z", here)
    machine = f"{time.strftime('%Y-%m-%dT%H:%M:%S', here)}{offset[:3]}:{offset[3:]}"
    shown = time.strftime("%H:%M:%S" if short else "%Y-%m-%d %H:%M:%S %Z", here)
    return f'<time datetime="{machine}"{" class=short" if short else ""}>{shown}</time>'


def _long(seconds: float) -> str:
    """A duration in the two largest units that fit, such as ``9 min 8 s``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    units = [(86400, "d"), (3600, "h"), (60, "min"), (1, "s")]
    for (size, name), (smaller, smaller_name) in pairwise(units):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {name}" + (f" {rest} {smaller_name}" if rest else "")
    return f"{whole} s"


def _percent(share: float) -> str:
    return "under 1 %" if 0 < share < 0.01 else f"{share:.0%}".replace("%", " %")


def _words(state: str) -> str:
    return state.replace("_", " ")
