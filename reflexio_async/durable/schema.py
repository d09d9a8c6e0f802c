"""The tables of a store. A file or database of another version is refused."""

from __future__ import annotations

VERSION = 1

# Times are epoch seconds by the clock of the process that wrote them, and are only shown. The end of a
# lease is on the database's own clock.
TABLES = (
    # The credentials that rows were written with, and the organisation that they belong to, as the server
    # says. ``id`` is a digest: no credential is stored.
    """create table if not exists account (
        id text not null,
        url text not null,
        org text,
        primary key (url, id))""",
    # A lane is the queue in front of one slot, or the outbox. One process at a time holds its lease. The
    # ``fence`` grows with every holder: a write of an earlier holder changes nothing. ``process`` names the
    # holder's process, where others can ask whether it has ended: in a file. ``limiter`` is what was learned
    # about the rate limit, as JSON. ``waiting_for`` is why the holder sends nothing now, as JSON; it is only
    # shown.
    """create table if not exists lane (
        url text not null,
        org text not null,
        name text not null,
        holder text,
        lease_end double precision not null default 0,
        boot text not null default '',
        process text not null default '',
        fence bigint not null default 0,
        limiter text,
        waiting_for text,
        primary key (url, org, name))""",
    # ``request`` and ``params`` are JSON, as the server gets them. ``before`` is the slot's operation when
    # the start was about to be sent. ``outcome`` is JSON: the state, and the result or the error. Its state
    # is also in ``ended_as``, to be counted. ``waits`` is JSON: what it waited for, and when.
    """create table if not exists job (
        seq {serial} primary key,
        id text not null unique,
        account text not null,
        url text not null,
        service text not null,
        kind text not null,
        batch text,
        key text,
        request text not null,
        params text not null,
        state text not null default 'queued',
        attempts bigint not null default 0,
        created_at double precision not null,
        intent_at double precision,
        before text,
        operation_id text,
        not_before bigint,
        admitted_at double precision,
        ended_at double precision,
        outcome text,
        ended_as text,
        waits text,
        unique (batch, key))""",
    "create index if not exists job_open on job (url, account, service, state, seq) where state <> 'ended'",
    "create index if not exists job_ended on job (ended_at, ended_as) where state = 'ended'",
    "create index if not exists job_of_batch on job (batch, state, ended_as) where batch is not null",
    # ``promotion`` is JSON: the response to the promotion, and when the last job before it had ended.
    """create table if not exists batch (
        id text primary key,
        account text not null,
        url text not null,
        kind text not null,
        created_at double precision not null,
        promotion text)""",
    # ``id`` is the request_id, which the server stores once. ``session`` keeps an order. A row is deleted
    # when it was delivered. One that the server refuses is set aside with its reason.
    """create table if not exists outbox (
        seq {serial} primary key,
        id text not null unique,
        account text not null,
        url text not null,
        call text not null,
        session text not null,
        request text not null,
        bytes bigint not null,
        state text not null default 'waiting',
        attempts bigint not null default 0,
        reason text,
        created_at double precision not null)""",
    "create index if not exists outbox_waiting on outbox (url, account, state, seq)",
)
