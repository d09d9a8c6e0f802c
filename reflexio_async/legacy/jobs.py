"""The kind of job that January servers have and today's do not."""

from __future__ import annotations

from reflexio_async._engine.jobs.kinds import SlotKind
from reflexio_async.legacy.feedback_models import RerunFeedbackGenerationResponse
from reflexio_async.reflexio.jobs import completed

FEEDBACK_RERUN: SlotKind[RerunFeedbackGenerationResponse] = SlotKind(
    name="feedback_rerun",
    interval=1.0,
    timeout=600.0,
    service="feedback_generation",
    constant_id="rerun_feedback_generation",
    echoed=("agent_version",),
    count_field="feedbacks_generated",
    mode=None,
    result=completed(RerunFeedbackGenerationResponse, "feedback_generation", "feedbacks_generated"),
)
