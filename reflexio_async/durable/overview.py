"""What a store holds at one moment, for people who watch it: lanes, batches, failures and the outbox."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from reflexio_async._engine.batch.accounting import OTHER, Segment, seconds_of, segments
from reflexio_async._engine.jobs.waits import JobWait, WaitReason
from reflexio_async._engine.rate_snapshot import RateSnapshot
from reflexio_async.durable.rows import waits_from
from reflexio_async.durable.store import HELD_NOW
from reflexio_async.errors import printable

if TYPE_CHECKING:
    from reflexio_async.durable.database import Row
    from reflexio_async.durable.readers import StoreReader

_BATCHES = 20
_RUNNING = 200
_FAILURES = 30
_REFUSED = 20
_HOUR = 3600.0
_GAP = 2.0  # seconds between two runs that are not worth showing
_RECENT = 900.0  # seconds; what ended in them is the pace of a batch
_ORGANISATION = "coalesce(account.org, job.account)"
_JOBS = "job left join account on account.url = job.url and account.id = job.account"


class _Run(NamedTuple):
    started_at: float
    ended_at: float
    waits: tuple[JobWait, ...]


async def read_overview(reader: StoreReader) -> dict[str, Any]:
    """Read everything, as JSON. Times are epoch seconds.

    Raises:
        StoreError: The store cannot be read now.
    """
    now = time.time()
    lanes = await _lanes(reader, now)
    ((size,),) = await reader.read("select {size}")
    return {
        "at": now,
        "bytes": size,
        "lanes": lanes,
        "batches": await _batches(reader, now, lanes),
        "failures": await _failures(reader),
        "outbox": await _outbox(reader, now),
        "accounts": await _accounts(reader),
    }


async def _lanes(reader: StoreReader, now: float) -> list[dict[str, Any]]:
    known: dict[tuple[str, str, str], dict[str, Any]] = {}

    def lane(url: str, organisation: str, name: str) -> dict[str, Any]:
        empty: dict[str, Any] = {"url": url, "organisation": organisation, "name": name}
        empty |= {"holder": None, "lease": None, "waiting_for": None}
        empty |= {"queued": 0, "running": [], "limits": [], "hour": None}
        return known.setdefault((url, organisation, name), empty)

    for url, organisation, name, holder, lease, limiter, waiting_for in await reader.read(
        f"select url, org, name, case when {HELD_NOW} then holder end, "
        f"case when {HELD_NOW} then lease_end - {{now}} end, limiter, waiting_for from lane "
        "order by url, org, name"
    ):
        found = lane(url, organisation, name)
        found |= {"holder": holder, "lease": lease, "limits": _limits(limiter, now)}
        if holder is not None and waiting_for is not None:
            found["waiting_for"] = json.loads(waiting_for)
    for url, organisation, service, count in await reader.read(
        f"select job.url, {_ORGANISATION}, service, count(*) from {_JOBS} "
        "where state = 'queued' and state <> 'ended' group by 1, 2, 3"
    ):
        lane(url, organisation, service)["queued"] = count
    runs: dict[tuple[str, str, str], list[_Run]] = defaultdict(list)
    for row in await reader.read(
        f"select job.url, {_ORGANISATION}, service, kind, key, params, batch, state, "
        f"coalesce(admitted_at, intent_at), admitted_at, waits from {_JOBS} "
        f"where state in ('starting', 'admitted') and state <> 'ended' order by seq limit {_RUNNING}"
    ):
        place, (kind, key, params, batch, state, since, admitted_at, waits) = row[:3], row[3:]
        about = {"kind": kind, "key": _key(key, params), "batch": batch, "starting": state == "starting"}
        lane(*place)["running"].append({**about, "since": since})
        if admitted_at is not None and lane(*place)["holder"] is not None:  # else nobody knows how it is
            runs[place].append(_Run(admitted_at, now, waits_from(waits)))
    for *of_lane, admitted_at, ended_at, waits in await reader.read(
        f"select job.url, {_ORGANISATION}, service, coalesce(admitted_at, ended_at), ended_at, waits "
        f"from {_JOBS} where state = 'ended' and ended_at > ?",
        now - _HOUR,
    ):
        runs[tuple(of_lane)].append(_Run(admitted_at, ended_at, waits_from(waits)))
    for place, ran in runs.items():
        lane(*place)["hour"] = _hour(ran, lane(*place), now)
    return list(known.values())


def _hour(runs: list[_Run], lane: dict[str, Any], now: float) -> dict[str, Any]:
    """What a lane did in the last hour, from its first run in it."""
    first = min(min([run.started_at, *(wait.began_at for wait in run.waits)]) for run in runs)
    begin = max(now - _HOUR, first)
    last = max(run.ended_at for run in runs)
    # The wait of this moment is in no row.
    waits = lane["waiting_for"] or {"reason": None, "since": None}
    if lane["queued"] and any(limit["opens_in"] for limit in lane["limits"]):
        runs = [*runs, _Run(now, now, (JobWait(WaitReason.RATE_LIMIT, last, now),))]
    elif waits["reason"] in (WaitReason.SERVER_AWAY, WaitReason.SLOT_TAKEN):
        wait = JobWait(WaitReason(waits["reason"]), waits["since"] or last, now)
        runs = [*runs, _Run(now, now, (wait,))]
    parts: list[Segment] = []
    for part in segments(runs, begin, now if lane["queued"] or lane["running"] else last):
        is_gap = part.activity == OTHER and part.seconds < _GAP
        if parts and (is_gap or part.activity == parts[-1].activity):
            parts[-1] = parts[-1]._replace(ended_at=part.ended_at)
        else:
            parts.append(part)
    shares = {name: seconds for name, seconds in seconds_of(parts).items() if seconds}
    return {"begin": begin, "parts": [[*part] for part in parts], "seconds": shares}


def _limits(text: str | None, now: float) -> list[dict[str, Any]]:
    """What a lane has learned about its rate limits."""
    found: list[dict[str, Any]] = []
    for path, snapshot_text in json.loads(text or "{}").get("paths", {}).items():
        snapshot = None if snapshot_text is None else RateSnapshot.from_text(snapshot_text, now)
        if snapshot is None or snapshot.hits is None:
            continue
        end = snapshot.end or 0.0
        is_over = end <= now
        used = 0 if is_over else min(snapshot.used, snapshot.hits)
        opens_at = max(snapshot.closed_until, end if used >= snapshot.hits else 0.0)
        about = {"path": path, "hits": snapshot.hits, "period": snapshot.period, "used": used}
        found.append({**about, "opens_in": max(0.0, opens_at - now)})
    return found


async def _batches(reader: StoreReader, now: float, lanes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    wanted = f"select id, url, kind, created_at from batch order by created_at desc, id limit {_BATCHES}"
    found: dict[str, dict[str, Any]] = {}
    for batch, url, kind, created_at in await reader.read(wanted):
        found[batch] = {"id": batch, "url": url, "kind": kind, "created_at": created_at, "jobs": {}}
    for batch, state, count in await reader.read(
        "select batch, case state when 'queued' then 'queued' when 'ended' then ended_as else 'running' end, "
        f"count(*) from job where batch in (select id from ({wanted}) as wanted) group by 1, 2"
    ):
        found[batch]["jobs"][state] = count
    recent = await reader.read(
        "select batch, count(*), min(ended_at) from job where state = 'ended' and ended_at > ? "
        "and ended_as <> 'cancelled' and batch is not null group by batch",
        now - _RECENT,
    )
    pace = {batch: (count, first) for batch, count, first in recent}
    limits = {lane["url"]: limit for lane in lanes for limit in lane["limits"]}
    for batch, entry in found.items():
        left = entry["jobs"].get("queued", 0) + entry["jobs"].get("running", 0)
        count, first = pace.get(batch, (0, now))
        a_minute = 60 * count / max(now - max(first, now - _RECENT), 60.0) if count else 0.0
        limit = limits.get(entry["url"])
        eta = left * 60 / a_minute if a_minute else None
        if eta is not None and limit is not None:
            eta = max(eta, left / limit["hits"] * limit["period"])
        entry |= {"left": left, "per_minute": a_minute, "eta": eta if left else None}
    return list(found.values())


async def _failures(reader: StoreReader) -> list[dict[str, Any]]:
    rows = await reader.read(
        "select ended_at, ended_as, kind, key, params, batch, outcome from job where state = 'ended' "
        f"and ended_as in ('failed', 'lost', 'timed_out') order by ended_at desc limit {_FAILURES}"
    )
    return [_failure(row) for row in rows]


def _failure(row: Row) -> dict[str, Any]:
    at, state, kind, key, params, batch, outcome_text = row
    outcome: dict[str, Any] = json.loads(outcome_text or "{}")
    reason = outcome.get("error") or outcome.get("failure", {}).get("message") or "no reason is known"
    about = {"at": at, "state": state, "kind": kind, "batch": batch}
    return {**about, "key": _key(key, params), "reason": printable(str(reason), 400)}


async def _outbox(reader: StoreReader, now: float) -> dict[str, Any]:
    counts = {
        state: {"calls": count, "bytes": int(size or 0), "oldest": now - first}
        for state, count, size, first in await reader.read(
            "select state, count(*), sum(bytes), min(created_at) from outbox group by state"
        )
    }
    refused = await reader.read(
        "select created_at, url, call, session, reason from outbox where state = 'set_aside' "
        f"order by seq desc limit {_REFUSED}"
    )
    return {
        "waiting": counts.get("waiting"),
        "set_aside": counts.get("set_aside"),
        "refused": [
            {
                "at": at,
                "url": url,
                "call": call.partition(" ")[0],
                "session": printable(session, 200),
                "reason": printable(reason or "", 400),
            }
            for at, url, call, session, reason in refused
        ],
    }


async def _accounts(reader: StoreReader) -> list[dict[str, Any]]:
    """What waits until its organisation is known, by server."""
    rows = await reader.read(
        "select account.url, sum((select count(*) from job where job.url = account.url and "
        "job.account = account.id and state <> 'ended')), sum((select count(*) from outbox where "
        "outbox.url = account.url and outbox.account = account.id and state = 'waiting')) "
        "from account where org is null group by account.url"
    )
    return [
        {"url": url, "jobs": int(jobs), "calls": int(calls)} for url, jobs, calls in rows if jobs or calls
    ]


def _key(key: str | None, params_text: str) -> str:
    """What a job is about, for people."""
    if key is None:
        params: dict[str, Any] = json.loads(params_text)
        key = ", ".join(f"{name}={value}" for name, value in params.items() if value is not None)
    return printable(key, 500)
