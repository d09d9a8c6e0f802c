"""Every error this package raises, in one tree.

    ReflexioError
    ├── ConfigurationError              the client has unusable options (also ValueError)
    ├── InvalidRequest                  an argument is unusable; nothing was sent (also ValueError)
    ├── ClientClosed                    the client was closed; see ``outcome_unknown``
    ├── Withdrawn                       the caller stopped the call before anything was sent
    ├── APIConnectionError              no complete response; see ``outcome_unknown``
    │   └── APITimeout                  no response in time (also TimeoutError)
    ├── APIStatusError                  a response with an error status
    │   ├── BadRequest                  400
    │   ├── AuthenticationError         401
    │   ├── PermissionDenied            403
    │   ├── NotFound                    404
    │   ├── Conflict                    409
    │   ├── PayloadTooLarge             413
    │   ├── UnprocessableRequest        422
    │   ├── RateLimited                 429
    │   └── ServerError                 5xx
    ├── UnexpectedResponse              a response that is not what the API promises
    ├── RequestRefused                  HTTP 200 with ``success: false``
    ├── JobError                        a job has no result
    │   ├── JobFailed                   the server reports a failure (also RuntimeError)
    │   ├── JobTimeout                  the job did not end within ``wait_timeout`` (also TimeoutError)
    │   ├── JobCancelled                cancelled before or while it ran
    │   └── JobLost                     the outcome is unknown for good
    ├── BatchInterrupted                the caller's iterable of keys raised an error
    └── StoreError                      the store cannot be used; nothing was written
        └── LeaseLost                   another process has taken over what this one was driving

Messages say what to do next. They may hold ids, and the values of options. They never hold credentials, and
never the texts of a request, such as messages, tasks and profiles. They are one line of limited length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reflexio_async._engine.batch.report import BatchReport
    from reflexio_async._engine.jobs.status import JobStatus


_LONGEST_MESSAGE = 4000  # characters


def printable(text: str, limit: int = _LONGEST_MESSAGE) -> str:
    """Return ``text`` on one line of at most ``limit`` characters. What is not printable becomes an escape.

    Texts of servers and ids of users go through it on their way into a message or a log record. So they
    cannot move the cursor of a terminal, begin a line of their own, or reverse the direction of a text.
    """
    shown = text[: limit + 1]
    if not shown.isprintable():
        line = " ".join(shown.splitlines())
        shown = "".join(
            char if char.isprintable() else char.encode("unicode_escape").decode() for char in line
        )
    return shown if len(shown) <= limit else f"{shown[:limit]}…"


class ReflexioError(Exception):
    """The base of every error of this package."""

    def __init__(self, message: str = "") -> None:
        super().__init__(printable(message))

    def __reduce__(self) -> tuple[Any, ...]:
        # Process pools and task queues pickle errors. The default does not work with keyword-only arguments.
        state = dict(vars(self))
        if "headers" in state:
            state["headers"] = dict(state["headers"])
        return restore, (type(self), self.args, state)


def restore(kind: type[ReflexioError], args: tuple[Any, ...], state: dict[str, Any]) -> ReflexioError:
    """Return the error that had these arguments and this state."""
    error = kind.__new__(kind, *args)
    error.args = args  # OSError, a base of TimeoutError, sets them in __init__ only
    vars(error).update(state)
    return error


class ConfigurationError(ReflexioError, ValueError):
    """An option of the client is unusable: a URL, another argument or an environment variable.

    What to do: mend the option that the message names.
    """


class InvalidRequest(ReflexioError, ValueError):
    """An argument is unusable, and nothing was sent. The message names the field and what was expected.

    What to do: mend the argument that the message names.

    Attributes:
        faults: The message without the name of the call.
    """

    def __init__(self, message: str, *, faults: str = "") -> None:
        super().__init__(message)
        self.faults = printable(faults or message)


class ClientClosed(ReflexioError):
    """The client is closed. Or it was closed, or its event loop ended, while the call was under way.

    What to do: make a new client. If ``outcome_unknown`` is true, look for its effect.

    Attributes:
        outcome_unknown: True when bytes may have reached the server, so that the call may have had its
            effect. False when nothing was sent.
    """

    def __init__(self, message: str, *, outcome_unknown: bool = False) -> None:
        super().__init__(message)
        self.outcome_unknown = outcome_unknown


class Withdrawn(ReflexioError):
    """The caller stopped the call before anything was sent. What to do: nothing, you stopped it."""


CLOSED = "this client is closed; make a new one"


class APIConnectionError(ReflexioError):
    """There was no complete response.

    What to do: check the address. If ``outcome_unknown`` is true, look before you send again.

    Attributes:
        outcome_unknown: True when bytes may have reached the server, so that the call may have had its
            effect. False when nothing was sent.
        attempts: The number of tries.
    """

    def __init__(self, message: str, *, outcome_unknown: bool = False, attempts: int = 1) -> None:
        super().__init__(message)
        self.outcome_unknown = outcome_unknown
        self.attempts = attempts


class APITimeout(APIConnectionError, TimeoutError):
    """There was no response within the timeout of the call.

    What to do: raise ``timeout``, or try later. If ``outcome_unknown`` is true, look before you send again.
    """


class APIStatusError(ReflexioError):
    """The response has an error status. What to do: read ``status`` and ``server_message``.

    Attributes:
        status: The HTTP status.
        method: The HTTP method.
        path: The path of the request.
        server_message: The text of the server, without the input that it repeats.
        headers: The headers of the response.
        correlation_id: The id of this exchange in the server's log, or None.
        retry_after: Seconds after which the server allows another try, at most 3600; None when it named no
            time.
        outcome_unknown: Whether the call may have had its effect, as with most 5xx.
        attempts: The number of tries.
        from_api: Whether the body has the shape of this API's errors. Otherwise something in between may have
            sent it, such as a proxy.
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
        from_api: bool = False,
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
        self.from_api = from_api


class BadRequest(APIStatusError):
    """400. What to do: mend the request."""


class AuthenticationError(APIStatusError):
    """401: the credential is missing, wrong or expired. What to do: check the key, or sign in again."""


class PermissionDenied(APIStatusError):
    """403: the credential does not allow this call, or the server refuses the User-Agent.

    What to do: use a key that is allowed to.
    """


class NotFound(APIStatusError):
    """404: there is no such object, or no such call on this server.

    What to do: check the id. If the server lacks the call, the message names the one to use.
    """


class Conflict(APIStatusError):
    """409: the call does not fit the current state of the server.

    What to do: read the state of the server, and decide anew.
    """


class PayloadTooLarge(APIStatusError):
    """413: the body is larger than the server accepts. What to do: send less at once."""


class UnprocessableRequest(APIStatusError):
    """422: the server refused a field. The message names the field and not its value.

    What to do: mend the field that the message names.
    """


class RateLimited(APIStatusError):
    """429. Or nothing was sent, because the limit is known to open only after this call's timeout.

    What to do: wait for ``retry_after`` seconds, or raise ``timeout``: the client then waits by itself.
    """


class ServerError(APIStatusError):
    """5xx. What to do: try later. If ``outcome_unknown`` is true, look before you send again."""


class UnexpectedResponse(ReflexioError):
    """A response that the API does not promise: a redirect, not JSON, another shape, or too large.

    What to do: check that the address is that of the API: a proxy or a page may have answered.

    Attributes:
        url: The URL of the request.
        status: The HTTP status.
        outcome_unknown: True for a 2xx, since the call may have had its effect.
        attempts: The number of tries.
        foreign: Whether it seems to come from something else than the API: a page, an empty or broken body, a
            redirect. False for JSON of another shape and for a response that is too large.
    """

    def __init__(
        self, message: str, *, url: str, status: int, attempts: int = 1, foreign: bool = False
    ) -> None:
        super().__init__(message)
        self.url = url
        self.status = status
        self.outcome_unknown = 200 <= status < 300
        self.attempts = attempts
        self.foreign = foreign


class RequestRefused(ReflexioError):
    """HTTP 200 with ``success: false``. What to do: read the message; the response is ``error.response``.

    Attributes:
        response: The decoded response.
        attempts: The number of tries.
        repeated: Whether an earlier try of this call may have had its effect.
    """

    def __init__(self, message: str, *, response: Any, attempts: int = 1, repeated: bool = False) -> None:
        super().__init__(message)
        self.response = response
        self.attempts = attempts
        self.repeated = repeated


class JobError(ReflexioError):
    """A job has no result. What to do: read ``error.status``.

    Attributes:
        status: The last status.
        token: The text for ``client.job(token)``, in this process or another; None before admission.
    """

    def __init__(self, message: str, *, status: JobStatus, token: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.token = token


class JobFailed(JobError, RuntimeError):
    """The server reports a failure. What to do: read the reason for each user in ``failed_users``.

    Attributes:
        failed_users: User id → the server's reason.
    """

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
    """The job did not end within ``wait_timeout``. It goes on at the server.

    What to do: wait again, ``await client.job(error.token)``.

    A call with ``wait_for_response=True`` whose start was not sent yet withdraws it; the message says so.

    Attributes:
        last_poll_error: The error of the last status request, or None when it had no error.
    """

    def __init__(
        self,
        message: str,
        *,
        status: JobStatus,
        token: str | None = None,
        last_poll_error: Exception | None = None,
    ) -> None:
        super().__init__(message, status=status, token=token)
        self.last_poll_error = last_poll_error


class JobCancelled(JobError):
    """The job was cancelled before its start was sent, or the server stopped it.

    What to do: nothing, it was asked for, here or elsewhere.
    """


class JobLost(JobError):
    """The outcome is unknown and cannot be found out any more.

    What to do: start it again if doing the work twice does no harm.
    """


class BatchInterrupted(ReflexioError):
    """The caller's iterable of keys raised an error. The keys that it gave before were finished.

    What to do: mend the iterable; ``error.report`` has what was finished.

    Attributes:
        report: The report of those keys.
    """

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


class StoreError(ReflexioError):
    """The store cannot be used, or a row could not be written. What to do: as the message says."""


class LeaseLost(StoreError):
    """Another process has taken over what this one was driving. Nothing was written.

    What to do: nothing, the other process goes on with it.
    """
