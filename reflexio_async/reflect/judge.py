"""Judges: functions of a user that say whether the answer of a run is right."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from anyio import to_thread

from reflexio_async._engine.models import build_request
from reflexio_async._engine.option_checks import is_asynchronous
from reflexio_async.errors import InvalidRequest
from reflexio_async.reflect.models.traces import InlineReview

if TYPE_CHECKING:
    from reflexio_async.reflect.models.traces import TraceCreate

Verdict: TypeAlias = str | bool | None
"""``"pass"`` or True, ``"fail"`` or False. None: no review."""

Judge: TypeAlias = Callable[
    [str, str], Verdict | tuple[Verdict, str | None] | Awaitable[Verdict | tuple[Verdict, str | None]]
]
"""A function of a task and an answer. It returns a verdict, or a pair of a verdict and a feedback text."""

JUDGE_ALPHA = 0.1
"""The ``alpha`` of a judge's reviews: judges err (server-behaviour: Reviews)."""


def check_judge(name: str, judge: object) -> None:
    """Raise InvalidRequest unless ``judge`` is None or can be called with a task and an answer."""
    if judge is None:
        return
    if not callable(judge):
        message = f"{name}: judge must be a function of task and answer, not {type(judge).__name__}"
        raise InvalidRequest(message)
    try:
        inspect.signature(judge).bind("task", "answer")
    except TypeError:
        message = f"{name}: judge must take two arguments, the task and the answer"
        raise InvalidRequest(message) from None
    except ValueError:
        return  # some functions in C have no signature


async def judged_review(judge: Judge, output: TraceCreate) -> InlineReview | None:
    """Return the review that ``judge`` gives to a run, or None.

    An ordinary function runs in a thread, so that it does not block the event loop. Cancelling the wait
    leaves the thread alone.

    Raises:
        InvalidRequest: The judge returned something else than a verdict.
        Exception: The error of the judge.
    """
    arguments = (output.task, _answer(output))
    returned: Any
    if is_asynchronous(judge):
        returned = judge(*arguments)
    else:
        returned = await to_thread.run_sync(judge, *arguments, abandon_on_cancel=True)
    if inspect.isawaitable(returned):  # also that of a lambda which calls a coroutine function
        returned = await returned
    result, feedback = _verdict(returned)
    if result is None:
        return None
    fields = {
        "result": result,
        "feedback_text": output.feedback_text if feedback is None else feedback,
        "alpha": JUDGE_ALPHA if output.alpha is None else output.alpha,
    }
    return build_request(InlineReview, fields, "judge")


def failed_review(output: TraceCreate, error: Exception) -> InlineReview:
    """Return the review of a run that ``error`` has ended."""
    given = output.review or output  # both have feedback_text and alpha
    feedback = given.feedback_text or str(error) or type(error).__name__
    fields = {
        "result": "fail",
        "feedback_text": feedback.encode("utf-8", "replace").decode(),  # without lone surrogates
        "alpha": given.alpha,
    }
    return build_request(InlineReview, fields, "review")


def _verdict(returned: Any) -> tuple[str | None, str | None]:
    """The result and the feedback in what a judge returned."""
    result, feedback = returned if _is_pair(returned) else (returned, None)
    if isinstance(result, bool):
        result = "pass" if result else "fail"
    return result, feedback


def _is_pair(returned: object) -> bool:
    return isinstance(returned, tuple) and len(cast("tuple[object, ...]", returned)) == 2


def _answer(output: TraceCreate) -> str:
    """The agent's answer: the given one, or the last text of the assistant in the trajectory."""
    if output.final_response is not None:
        return output.final_response
    if isinstance(output.trajectory, str):
        return output.trajectory
    messages = reversed(output.trajectory)
    texts = (message.get("content") for message in messages if message["role"] == "assistant")
    return next((text for text in texts if isinstance(text, str) and text), "")
