"""The kind of job that January servers have and today's do not."""

from __future__ import annotations

from reflexio_async._engine.jobs.kinds import Slot
from reflexio_async.legacy.feedback_models import RerunFeedbackGenerationResponse
from reflexio_async.reflexio.jobs import SLOT_POLL_INTERVAL, slot_kind

FEEDBACK_RERUN = slot_kind(
    "feedback_rerun",
    RerunFeedbackGenerationResponse,
    Slot("feedback_generation", SLOT_POLL_INTERVAL),
    echoed=("agent_version",),
    count_field="feedbacks_generated",
    shared_id="rerun_feedback_generation",
)
