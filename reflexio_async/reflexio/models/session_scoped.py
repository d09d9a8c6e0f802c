"""Requests within a session that the caller need not name again."""

from __future__ import annotations

from reflexio_async._engine.models import NotBlank, RequestModel
from reflexio_async.reflexio.models.evaluation import GradeFields
from reflexio_async.reflexio.models.interactions import PublishFields
from reflexio_async.reflexio.models.sessions import OutcomeFields


class ScopedPublish(PublishFields):
    """``PublishUserInteractionRequest``; ``session_id`` may be left out."""

    session_id: NotBlank | None = None


class ScopedOutcome(OutcomeFields):
    """``SetSessionOutcomeRequest``; ``session_id`` may be left out."""

    session_id: NotBlank | None = None


class ScopedGrade(GradeFields):
    """``GradeOnDemandRequest``; ``session_id`` may be left out."""

    session_id: NotBlank | None = None


class ScopedFinalize(RequestModel):
    """``FinalizeSessionRequest``; ``session_id`` may be left out."""

    user_id: NotBlank
    session_id: NotBlank | None = None


def finalize(user_id: str, session_id: str | None = None) -> ScopedFinalize:
    """The user, given by position."""
    return ScopedFinalize(user_id=user_id, session_id=session_id)
