"""The default poll intervals and wait timeouts: one constant each, and texts that state the same numbers."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest

from reflexio_async import AsyncReflectClient, AsyncReflexioClient
from reflexio_async.legacy.jobs import FEEDBACK_RERUN
from reflexio_async.reflect.jobs import POLL_INTERVAL, WAIT_TIMEOUT, trace_kinds
from reflexio_async.reflect.models.traces import TraceCreateAndWait
from reflexio_async.reflexio import jobs

if TYPE_CHECKING:
    from reflexio_async._engine.jobs.kinds import PolledKind, SlotKind


@pytest.mark.parametrize("kind", [*jobs.SLOT_KINDS.values(), FEEDBACK_RERUN], ids=lambda kind: kind.name)
def test_the_jobs_in_slots_have_the_same_defaults(kind: SlotKind[object]) -> None:
    assert (kind.slot.poll_interval, kind.timeout) == (jobs.SLOT_POLL_INTERVAL, jobs.WAIT_TIMEOUT)


@pytest.mark.parametrize("kind", trace_kinds(200.0), ids=lambda kind: kind.name)
def test_the_trace_jobs_have_the_same_defaults(kind: PolledKind[object]) -> None:
    assert (kind.interval, kind.timeout) == (POLL_INTERVAL, WAIT_TIMEOUT)


def test_the_text_of_a_batch_of_reruns_states_the_defaults() -> None:
    text = " ".join((inspect.getdoc(AsyncReflexioClient.rerun_profiles_many) or "").split())
    assert f"then up to {jobs.SLOT_POLL_INTERVAL:g}." in text
    assert f"None: {jobs.WAIT_TIMEOUT:g}." in text


@pytest.mark.parametrize(
    "text",
    [
        inspect.getdoc(AsyncReflectClient.wait_for_trace),
        inspect.getdoc(AsyncReflectClient.create_traces_many),
        " ".join(field.description or "" for field in TraceCreateAndWait.model_fields.values()),
    ],
    ids=["wait_for_trace", "create_traces_many", "create_trace_and_wait"],
)
def test_the_texts_about_traces_state_the_defaults(text: str) -> None:
    assert f"None: the client's, or {POLL_INTERVAL:g}." in text
    assert f"None: the client's, or {WAIT_TIMEOUT:g}." in text
