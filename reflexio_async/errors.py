"""Every error this package raises, in one tree.

    ReflexioError
    ├── ConfigurationError              the client itself is set up wrongly (also ValueError)
    ├── InvalidRequest                  refused here, before any I/O (also ValueError)
    ├── ClientClosed                    a call on a client that was closed
    ├── Withdrawn                       stopped by the caller before anything was sent
    ├── APIConnectionError              no answer: ``outcome_unknown`` says whether it may have had an effect
    │   └── APITimeout                  no answer in time (also TimeoutError)
    ├── APIStatusError                  an answer with an error status
    │   ├── BadRequest                  400
    │   ├── AuthenticationError         401
    │   ├── PermissionDenied            403
    │   ├── NotFound                    404
    │   ├── Conflict                    409
    │   ├── PayloadTooLarge             413
    │   ├── UnprocessableRequest        422
    │   ├── RateLimited                 429
    │   └── ServerError                 5xx
    ├── UnexpectedResponse              an answer that is not what the API promises
    ├── RequestRefused                  HTTP 200 with ``success: false``
    ├── JobError                        the outcome of a job
    │   ├── JobFailed                   the server reports failure (also RuntimeError)
    │   ├── JobTimeout                  we stopped waiting; the server goes on (also TimeoutError)
    │   ├── JobCancelled                cancelled before or while it ran
    │   └── JobLost                     the outcome can no longer be learned
    └── BatchInterrupted                the caller's own iterable of keys failed half-way

Messages name the next step. They never hold credentials or echo a payload.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reflexio_async._engine.batch.report import BatchReport
    from reflexio_async._engine.jobs.status import JobStatus


class ReflexioError(Exception):
    """Base of every error raised by this package."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Process pools and task queues pickle what their workers raise; some attributes are keyword-only.
        state = dict(vars(self))
        if "headers" in state:
            state["headers"] = dict(state["headers"])
        return _restored, (type(self), self.args, state)


def _restored(kind: type[ReflexioError], args: tuple[Any, ...], state: dict[str, Any]) -> ReflexioError:
    error = kind.__new__(kind, *args)
    error.args = args  # OSError, below TimeoutError, leaves that to its __init__
    vars(error).update(state)
    return error


class ConfigurationError(ReflexioError, ValueError):
    """The client is set up wrongly: a URL, an option or an environment variable."""


class InvalidRequest(ReflexioError, ValueError):
    """An argument was refused before any I/O; the message names the field and what was expected.

    ``faults`` is the message without the name of the call.
    """

    def __init__(self, message: str, *, faults: str = "") -> None:
        super().__init__(message)
        self.faults = faults or message


class ClientClosed(ReflexioError):
    """The client was closed; make a new one."""


class Withdrawn(ReflexioError):
    """The caller stopped it before anything was sent."""


CLOSED = "this client is closed; make a new one"


class APIConnectionError(ReflexioError):
    """The server gave no complete answer.

    ``outcome_unknown`` is True when bytes may have reached the server, so that the call may have had
    its effect; False means that nothing was sent. ``attempts`` counts the tries that were made.
    """

    def __init__(self, message: str, *, outcome_unknown: bool = False, attempts: int = 1) -> None:
        super().__init__(message)
        self.outcome_unknown = outcome_unknown
        self.attempts = attempts


class APITimeout(APIConnectionError, TimeoutError):
    """No answer within the call's timeout."""


class APIStatusError(ReflexioError):
    """The server answered with an error status.

    Attributes: ``status``, ``method``, ``path``, ``server_message`` (the server's own words, without
    echoed input), ``correlation_id`` (quote it to the server's operator), ``headers``,
    ``retry_after`` in seconds (None when the server named no time), ``attempts`` and
    ``outcome_unknown`` (a 5xx may come after the effect).
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        method: str,
        path: str,
        server_message: str = "",
        headers: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        outcome_unknown: bool = False,
        attempts: int = 1,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.method = method
        self.path = path
        self.server_message = server_message
        self.headers: Mapping[str, str] = headers or {}
        self.correlation_id: str | None = self.headers.get("x-correlation-id")
        self.retry_after = retry_after
        self.outcome_unknown = outcome_unknown
        self.attempts = attempts


class BadRequest(APIStatusError):
    """400."""


class AuthenticationError(APIStatusError):
    """401: the credential is missing, wrong or expired."""


class PermissionDenied(APIStatusError):
    """403: the credential is known but this is not allowed, or the server dislikes the User-Agent."""


class NotFound(APIStatusError):
    """404: no such thing, or no such route on this server."""


class Conflict(APIStatusError):
    """409: the current state forbids it."""


class PayloadTooLarge(APIStatusError):
    """413: the body is larger than the server accepts."""


class UnprocessableRequest(APIStatusError):
    """422: the server refused a field; the message names it, the echoed input is dropped."""


class RateLimited(APIStatusError):
    """429, or a known limit that opens again only after this call's timeout."""


class ServerError(APIStatusError):
    """5xx."""


class UnexpectedResponse(ReflexioError):
    """An answer that the API does not promise: a redirect, not JSON, another shape, or too large.

    ``outcome_unknown`` is True for a 2xx: the call may well have had its effect.
    """

    def __init__(self, message: str, *, url: str, status: int) -> None:
        super().__init__(message)
        self.url = url
        self.status = status
        self.outcome_unknown = 200 <= status < 300


class RequestRefused(ReflexioError):
    """HTTP 200 with ``success: false``; ``response`` is the decoded answer.

    ``repeated`` says that an earlier try of the same call may have had its effect.
    """

    def __init__(self, message: str, *, response: Any, attempts: int = 1, repeated: bool = False) -> None:
        super().__init__(message)
        self.response = response
        self.attempts = attempts
        self.repeated = repeated


class JobError(ReflexioError):
    """A job did not end in a result.

    ``status`` is the last one seen; ``token`` (None before admission) lets
    ``client.job(token)`` go on, here or in another process.
    """

    def __init__(self, message: str, *, status: JobStatus, token: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.token = token


class JobFailed(JobError, RuntimeError):
    """The server reports failure; ``failed_users`` maps user id to the server's reason."""

    def __init__(
        self,
        message: str,
        *,
        status: JobStatus,
        token: str | None = None,
        failed_users: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, status=status, token=token)
        self.failed_users: Mapping[str, str] = failed_users or {}


class JobTimeout(JobError, TimeoutError):
    """This wait ran out; the job goes on at the server. ``last_probe_error`` is what polling met last."""

    def __init__(
        self,
        message: str,
        *,
        status: JobStatus,
        token: str | None = None,
        last_probe_error: Exception | None = None,
    ) -> None:
        super().__init__(message, status=status, token=token)
        self.last_probe_error = last_probe_error


class JobCancelled(JobError):
    """The job was cancelled: withdrawn before its start was sent, or stopped by the server."""


class JobLost(JobError):
    """The outcome is unknown and can no longer be learned; it is never guessed."""


class BatchInterrupted(ReflexioError):
    """The iterable of keys raised; what had been pulled was finished and is in ``report``."""

    def __init__(self, message: str, *, report: BatchReport[Any, Any]) -> None:
        super().__init__(message)
        self.report = report


STATUS_ERRORS: Mapping[int, type[APIStatusError]] = {
    400: BadRequest,
    401: AuthenticationError,
    403: PermissionDenied,
    404: NotFound,
    409: Conflict,
    413: PayloadTooLarge,
    422: UnprocessableRequest,
    429: RateLimited,
}
