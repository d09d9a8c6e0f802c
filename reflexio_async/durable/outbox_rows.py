"""The rows of an outbox, in a store: calls that wait to be delivered, or that the server has refused.

Every method is one transaction. A write with a lease raises LeaseLost when that has passed to another holder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reflexio_async.durable.database import Statement
from reflexio_async.durable.rows import OUTBOX_COLUMNS, OutboxStats, outbox_row, request_text
from reflexio_async.durable.store import HELD, HELD_NOW, check_held

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from reflexio_async.durable.rows import LaneKey, Lease, OutboxRow
    from reflexio_async.durable.store import Store

# Of the accounts of one organisation; of one account alone while its organisation is not known.
_OF_ORGANISATION = (
    "url = ? and account in (select ? union select other.id from account as one join account as other "
    "on other.url = one.url and other.org = one.org where one.url = ? and one.id = ?)"
)


class OutboxRows:
    """The calls in ``store``."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def accept(self, rows: Sequence[OutboxRow]) -> bool:
        """Add calls to the outbox. Return whether all are new.

        One whose id is there already is left as it is.
        """
        added = await self._store.write(
            *(
                Statement(
                    "insert into outbox (id, account, url, call, session, request, bytes, created_at) "
                    "values (?, ?, ?, ?, ?, ?, ?, ?) on conflict do nothing",
                    (
                        row.id,
                        row.account,
                        row.url,
                        row.call,
                        row.session,
                        request_text(row.request),
                        row.bytes,
                        row.created_at,
                    ),
                )
                for row in rows
            )
        )
        return all(added)

    async def belongs_to(self, row_id: str, url: str, account: str) -> bool | None:
        """Whether a call is to the server ``url``, of the organisation of ``account``.

        None: the call is not in the outbox.
        """
        rows = await self._store.read(
            f"select case when {_OF_ORGANISATION} then 1 else 0 end from outbox where id = ?",
            *_of_organisation(url, account),
            row_id,
        )
        return bool(rows[0][0]) if rows else None

    async def has_call(self, row_id: str) -> bool:
        """Whether a call is in the outbox, when all writes that were asked for before have ended."""
        sql = "update outbox set attempts = attempts where id = ?"
        (rows,) = await self._store.write(Statement(sql, (row_id,)))
        return bool(rows)

    async def has_calls(self, url: str, account: str | None = None) -> bool:
        """Whether calls to ``url`` wait in the outbox; ``account``: calls of its organisation."""
        sql = "select 1 from outbox where {} and state = 'waiting' limit 1"
        if account is None:
            return bool(await self._store.read(sql.format("url = ?"), url))
        return bool(await self._store.read(sql.format(_OF_ORGANISATION), *_of_organisation(url, account)))

    async def waiting(self, lane: LaneKey, limit: int, *, after: int = 0) -> list[OutboxRow]:
        """The first calls that wait in the outbox, behind the one with the number ``after``."""
        sql = (
            f"select 0 as place, {OUTBOX_COLUMNS} from outbox "
            "where url = ? and account = ? and state = 'waiting' and seq > ?"
        )
        return [outbox_row(row) for row in await self._store.first_rows([sql], lane, (after,), limit)]

    async def delivered(self, lease: Lease, ids: Collection[str]) -> None:
        """Delete calls that were delivered."""
        held = (*lease.lane, lease.fence)
        done = await self._store.write(
            *(Statement(f"delete from outbox where id = ? and {HELD}", (job_id, *held)) for job_id in ids)
        )
        for rows in done:
            check_held(lease, rows)

    async def set_aside(self, lease: Lease, row_id: str, reason: str) -> None:
        """Keep a call that cannot be delivered, with the reason, and go on without it."""
        (rows,) = await self._store.write(
            Statement(
                f"update outbox set state = 'set_aside', reason = ? where id = ? and {HELD}",
                (reason, row_id, *lease.lane, lease.fence),
            )
        )
        check_held(lease, rows)

    async def mark_sent(self, lease: Lease, row_id: str, *, sent: bool) -> None:
        """Note that a call is about to be sent, or that it was not sent after all."""
        sql = f"update outbox set attempts = ? where id = ? and {HELD}"
        (rows,) = await self._store.write(Statement(sql, (int(sent), row_id, *lease.lane, lease.fence)))
        check_held(lease, rows)

    async def state(self, row_id: str) -> tuple[str, str | None] | None:
        """The state of a call and why it was set aside. None: it was delivered."""
        rows = await self._store.read("select state, reason from outbox where id = ?", row_id)
        return (rows[0][0], rows[0][1]) if rows else None

    async def stats(self, url: str, account: str, now: float) -> OutboxStats:
        """What is in the outbox for the server at ``url`` and the organisation of ``account``."""
        rows = await self._store.read(
            "select state, count(*), coalesce(sum(bytes), 0), min(created_at) from outbox "
            f"where {_OF_ORGANISATION} group by state",
            *_of_organisation(url, account),
        )
        found = {state: (int(count), int(size), first) for state, count, size, first in rows}
        waiting, size, first = found.get("waiting", (0, 0, None))
        return OutboxStats(waiting, size, found.get("set_aside", (0, 0, None))[0], first and now - first)

    async def set_aside_rows(self, url: str, account: str, limit: int) -> list[OutboxRow]:
        """The calls of an organisation that were set aside, the oldest first."""
        rows = await self._store.read(
            f"select {OUTBOX_COLUMNS} from outbox where {_OF_ORGANISATION} and state = 'set_aside' "
            "order by seq limit ?",
            *_of_organisation(url, account),
            limit,
        )
        return [outbox_row(row) for row in rows]

    async def put_back(self, url: str, account: str) -> int:
        """Deliver the calls of an organisation once more that were set aside. Return how many there are."""
        sql = (
            "update outbox set state = 'waiting', reason = null, attempts = 0 "
            f"where {_OF_ORGANISATION} and state = 'set_aside'"
        )
        (rows,) = await self._store.write(Statement(sql, _of_organisation(url, account)))
        return len(rows)

    async def count_orphans(self, url: str, before: float) -> int:
        """How many calls to ``url`` that were accepted before that time no client is known to deliver.

        Their organisation was not learned. Where servers cannot tell it, no process holds their lane.
        """
        rows = await self._store.read(
            "select count(*) from outbox join account on account.url = outbox.url "
            "and account.id = outbox.account where outbox.url = ? and state = 'waiting' and created_at < ? "
            "and (org is null or org = account.id and not exists (select 1 from lane "
            f"where lane.url = account.url and lane.org = account.org and name = 'outbox' and {HELD_NOW}))",
            url,
            before,
        )
        return int(rows[0][0])


def _of_organisation(url: str, account: str) -> tuple[str, str, str, str]:
    """The values of ``_OF_ORGANISATION``."""
    return url, account, url, account
