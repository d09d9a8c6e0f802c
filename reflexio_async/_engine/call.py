"""One call: credentials, rate limit, HTTP exchange, retries, typed error."""

from __future__ import annotations

import asyncio
import logging
import math
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import anyio

from reflexio_async._engine import retry, wire
from reflexio_async._engine.availability import Availability
from reflexio_async._engine.events import RequestEvent, RetryEvent, notify
from reflexio_async._engine.logs import fields
from reflexio_async.errors import (
    APIConnectionError,
    APIStatusError,
    APITimeout,
    AuthenticationError,
    ClientClosed,
    RateLimited,
    ReflexioError,
    RequestRefused,
    UnexpectedResponse,
    Withdrawn,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator

    from pydantic import SecretStr

    from reflexio_async._engine.auth import Credentials
    from reflexio_async._engine.clock import Clock
    from reflexio_async._engine.http import HttpClient
    from reflexio_async._engine.loops import LoopBinding
    from reflexio_async._engine.observer import Observer
    from reflexio_async._engine.rate_limits import RateLimiter, RateLimiters
    from reflexio_async._engine.service import Service
    from reflexio_async._engine.settings import Settings
    from reflexio_async._engine.spans import CallSpan
    from reflexio_async._engine.wire import EncodedRequest, Endpoint, RawResponse

T = TypeVar("T")
logger = logging.getLogger("reflexio_async")

_MOMENT = 0.001  # seconds
# Seconds that one try of a repeatable call may take. Servers give up after 60 (server-behaviour: Deadlines);
# five are for its response. A connection that died silently must not cost the call all of its time.
_LONGEST_TRY = 65.0


class Caller:
    """Makes every call of one client."""

    def __init__(
        self,
        service: Service,
        http: HttpClient,
        credentials: Credentials,
        rate_limiters: RateLimiters,
        *,
        clock: Clock,
        loops: LoopBinding,
        observer: Observer,
    ) -> None:
        self.observer = observer
        self.service = service
        self.http = http
        self.credentials = credentials
        self.clock = clock
        self.loops = loops
        self.availability = Availability(http.base_url, clock)
        self.rate_limiter = rate_limiters.rate_limiter
        """Returns the rate limiter of a path."""

    def send(
        self,
        endpoint: Endpoint[T],
        encoded: EncodedRequest,
        settings: Settings,
        *,
        limit_wait: float | None = None,
        repeatable: bool | None = None,
        resolve: Callable[[float, bool], Awaitable[T | None]] | None = None,
        sent_before: bool = False,
        withdrawn: asyncio.Event | None = None,
        on_attempt: Callable[[], None] | None = None,
        rate_limiter: RateLimiter | None = None,
        deadline: float | None = None,
        guard: Callable[[], None] | None = None,
    ) -> Coroutine[Any, Any, T]:
        """Make one call; awaiting it returns the decoded response.

        The call takes at most ``settings.timeout`` seconds (or the endpoint's deadline, if that is longer).
        This includes retries and waiting for the rate limit.

        Args:
            endpoint: The endpoint.
            encoded: The request as it will be sent.
            settings: The settings of the client, or of one of its views.
            limit_wait: Seconds to wait for the rate limit, not counted against the timeout. Infinite in a
                batch, where an outage does not count either. 0 in a lane, which waits by itself: RateLimited
                is raised at once. None counts the wait against the timeout.
            repeatable: Replaces ``endpoint.may_repeat``.
            resolve: Asks the server, after a response was lost and before the call is sent again, whether the
                call had its effect. Its arguments are the deadline, by the clock, and whether the response
                was lost just now. It returns the response that says so, or None: then the call is sent again.
                When it raises an error, the call is not sent again.
            sent_before: An earlier call may have had the effect: ``resolve`` is called first.
            withdrawn: When this event is set, a wait for the rate limit ends in ``Withdrawn``.
            on_attempt: Called before every HTTP exchange of this call.
            rate_limiter: Replaces the rate limiter of the request's path.
            deadline: When the call must have ended, by the clock: that of a call of which this is a part.
            guard: Called in every try as the last thing before bytes leave: when the connection is there, or,
                over a caller's session, when that gets the request. A ReflexioError that it raises ends the
                call: that try has sent nothing, uses up nothing of the rate limit, and is not repeated.
        """
        if deadline is None:
            deadline = self.clock.now() + max(settings.timeout, endpoint.deadline or 0.0)
        call = Call(
            self,
            endpoint,
            encoded,
            settings,
            rate_limiter or self.rate_limiter(encoded.path),
            limit_wait,
            repeatable,
            resolve,
            withdrawn,
            on_attempt,
            guard,
            deadline=deadline,
            outcome_unknown=sent_before,
        )
        return self.observer.run(call) if self.observer.is_on else call.run()


@dataclass(slots=True, eq=False, repr=False)
class Call(Generic[T]):
    """One call and its tries."""

    caller: Caller
    endpoint: Endpoint[T]
    encoded: EncodedRequest
    settings: Settings
    rate_limiter: RateLimiter
    limit_wait: float | None
    repeatable: bool | None
    resolve: Callable[[float, bool], Awaitable[T | None]] | None
    withdrawn: asyncio.Event | None
    on_attempt: Callable[[], None] | None
    guard: Callable[[], None] | None
    deadline: float
    attempts: int = 0
    outcome_unknown: bool = False
    """Whether one of the tries may have had its effect."""
    last_error: ReflexioError | None = None
    delays: Iterator[float] | None = None
    away_since: float | None = None
    """Since when every try has met a server that is away."""
    outlasted: int = 0
    """The tries that met such a server, and do not count."""
    guarded: bool = False
    """Whether the guard has ended the call."""
    trace: CallSpan | None = None
    """Its span, if it has one."""

    async def run(self) -> T:
        try:
            value = await self._resolved() if self.outcome_unknown else None
            while value is None:
                if self.caller.credentials.refusal is not None and not self.endpoint.public:
                    raise self._login_refused(self.caller.credentials.refusal) from self.last_error
                permit = self.rate_limiter.try_acquire()
                if permit is None:
                    permit = await self._wait_for_permit()
                try:
                    return await self._try(permit)
                except (APIConnectionError, APIStatusError, RequestRefused, UnexpectedResponse) as error:
                    value = await self._after_failure(error)
        except ClientClosed as error:
            error.outcome_unknown = error.outcome_unknown or self.outcome_unknown
            raise error from self.last_error
        except asyncio.CancelledError:
            closed = self.caller.loops.cut_short(self._name, sent=self.outcome_unknown)
            if closed is None:
                raise
            raise closed from self.last_error
        else:
            return value

    async def _after_failure(
        self, error: APIConnectionError | APIStatusError | RequestRefused | UnexpectedResponse
    ) -> T | None:
        """Return the response if it is known all the same; or None, when it is time for another try.

        Raise ``error`` if there is neither.
        """
        self.caller.availability.failed(error)
        error.attempts = self.attempts
        self.last_error = error
        if isinstance(error, RequestRefused):
            error.repeated = self.outcome_unknown
            if not self._may_retry(error):
                if self._raises_refusals:
                    raise error
                return cast("T", error.response)
        else:
            lost = error.outcome_unknown
            # If an earlier try may have had its effect, no later error can exclude that.
            error.outcome_unknown = self.outcome_unknown = self.outcome_unknown or lost
            value = await self._resolved(error) if lost else None
            if value is not None:
                return value
            if not self._may_retry(error):
                raise error
        await self._pause(error)
        return None

    async def _try(self, permit: int) -> T:
        self.attempts += 1
        caller, endpoint = self.caller, self.endpoint
        authorization = None if endpoint.public else caller.credentials.header
        counted = True
        try:
            response = await self._exchange(authorization)
            if response.status == 401 and not endpoint.public and await self._renew_token(authorization):
                response = await self._exchange(caller.credentials.header)
            # The server does not count a 422, nor a call without a token (server-behaviour: Rate limits).
            counted = response.status not in (401, 422, 429)
        finally:
            self.rate_limiter.release(permit, counted=counted and not self.guarded)
        if "X-RateLimit-Remaining" in response.headers:
            self.rate_limiter.observe(response.headers)
        redact = caller.credentials.redact
        if 200 <= response.status < 300:
            value = wire.decode(endpoint, caller.service, response, redact)
            if caller.availability.is_in_doubt:
                caller.availability.answered(properly=True)
            refusal = wire.refusal_of(endpoint, caller.service, value, redact)
            if refusal is not None:
                caller.observer.refused(endpoint, type(refusal).__name__)
                if self._raises_refusals or self._nothing_stored(refusal):
                    raise refusal
            return value
        error = wire.error_for(
            endpoint, caller.service, self.encoded, response, now=caller.clock.time(), redact=redact
        )
        if isinstance(error, RateLimited):
            caller.observer.refused(endpoint, type(error).__name__)
            if not caller.service.is_busy(error.server_message):
                self.rate_limiter.refused(permit, response.headers, response.body)
        raise error

    def _exchange(self, authorization: SecretStr | None) -> Awaitable[RawResponse]:
        """Make one HTTP exchange, and report it to the hooks."""
        if self.on_attempt is not None:
            self.on_attempt()
        timeout = self._remaining()
        if self._may_repeat:
            timeout = min(timeout, self.endpoint.deadline or _LONGEST_TRY)
        guard = None if self.guard is None else self._check_guard
        if self.settings.on_request is None and self.trace is None:
            return self.caller.http.send(
                self.encoded, authorization=authorization, timeout=timeout, guard=guard
            )
        return self._reported_exchange(authorization, timeout, guard)

    def _check_guard(self) -> None:
        assert self.guard is not None  # noqa: S101  # else this is not called
        self.guarded = True
        self.guard()
        self.guarded = False

    async def _reported_exchange(
        self, authorization: SecretStr | None, timeout: float, guard: Callable[[], None] | None
    ) -> RawResponse:
        encoded, caller = self.encoded, self.caller
        started = caller.clock.now()
        status: int | None = None
        failure: BaseException | None = None
        span = None
        if self.trace is not None:
            span = self.trace.begin_try(encoded.method)
            # What was stamped on the request before gives way.
            encoded = encoded._replace(headers=tuple({**dict(encoded.headers), **span.headers}.items()))
        try:
            response = await caller.http.send(
                encoded, authorization=authorization, timeout=timeout, guard=guard
            )
            status = response.status
        except BaseException as error:
            failure = error
            raise
        finally:
            if span is not None:
                span.end(status, failure)
            seconds, name = caller.clock.now() - started, None if failure is None else type(failure).__name__
            event = RequestEvent(encoded.method, encoded.path, status, seconds, self.attempts, name)
            notify("on_request", self.settings.on_request, event)
            failure = None  # else the frame and its error refer to each other
        return response

    async def _renew_token(self, refused: SecretStr | None) -> bool:
        """Whether another token than ``refused`` is now in use."""
        try:
            async with self.caller.clock.timeout(self._remaining()):
                return await self.caller.credentials.renew(refused)
        except TimeoutError:
            message = f"{self._name}: no time was left to sign in again; nothing was done"
            raise APITimeout(message) from None

    def _login_refused(self, refusal: AuthenticationError) -> AuthenticationError:
        """The error of a call that is not sent, because the stored login was refused."""
        error = copy(refusal)
        error.attempts, error.outcome_unknown = self.attempts, self.outcome_unknown
        return error

    @property
    def _name(self) -> str:
        return f"{self.encoded.method} {self.encoded.path}"

    @property
    def _raises_refusals(self) -> bool:
        return self.endpoint.refusal == "raise" and self.settings.raise_on_refusal

    def _remaining(self) -> float:
        """Seconds until the deadline, at least one millisecond."""
        return max(_MOMENT, self.deadline - self.caller.clock.now())

    def _nothing_stored(self, refusal: RequestRefused) -> bool:
        text = self.caller.service.nothing_stored
        return bool(text) and text in wire.refusal_text(refusal.response)

    def _may_retry(
        self, error: APIConnectionError | APIStatusError | RequestRefused | UnexpectedResponse
    ) -> bool:
        outlasts = self._outlasts(error)
        self.outlasted += outlasts
        counted = self.attempts - self.outlasted
        no_attempts_left = not outlasts and counted >= self.settings.retry.max_attempts
        if isinstance(error, RateLimited):
            # It had no effect. Once the limit is known, waiting for it does not count as a try.
            return self.limit_wait != 0 and (self.rate_limiter.limit is not None or not no_attempts_left)
        if no_attempts_left or (isinstance(error, APITimeout) and self._remaining() <= _MOMENT):
            return False
        if isinstance(error, RequestRefused):
            return self._nothing_stored(error)
        if not retry.call_may_pass(error, has_answered=self.caller.availability.has_answered):
            return False
        return not self.outcome_unknown or self._may_repeat or self.resolve is not None

    def _outlasts(self, error: ReflexioError) -> bool:
        """Whether the server is away, and this call waits for it: a call that changes something does.

        A lane waits by itself (``limit_wait`` is 0). In a batch, no outage counts against the timeout.
        """
        if not retry.is_away(error):
            self.away_since = None
            return False
        now = self.caller.clock.now()
        if self.away_since is None:
            self.away_since = now
        if (
            not self.endpoint.is_write
            or self.settings.retry.max_attempts == 1
            or self.limit_wait == 0
            or not self.caller.availability.has_answered
            or now - self.away_since >= self.settings.outage_timeout
            or (self.withdrawn is not None and self.withdrawn.is_set())
        ):
            return False
        if self.limit_wait is not None:
            self.deadline = now + max(self.settings.timeout, self.endpoint.deadline or 0.0)
        return True

    @property
    def _may_repeat(self) -> bool:
        return self.endpoint.may_repeat if self.repeatable is None else self.repeatable

    async def _resolved(self, lost: ReflexioError | None = None) -> T | None:
        """The response, if the call turns out to have had its effect; None if it may be sent.

        Args:
            lost: The error of a try. It is raised when it cannot be known whether it had its effect.
        """
        if self.resolve is None:
            return None
        if lost is not None and self._remaining() <= _MOMENT:
            raise lost
        while True:
            try:
                return await self.resolve(self.deadline, lost is not None)
            except ClientClosed:
                message = f"{self._name}: the client was closed after the response was lost"
                raise ClientClosed(message, outcome_unknown=True) from None
            except ReflexioError as error:
                logger.info(
                    "%s: its effect is not known (%s)",
                    self._name,
                    type(error).__name__,
                    extra=fields(
                        "call_unresolved", error, method=self.endpoint.method, route=self.endpoint.path
                    ),
                )
                delay, remaining = retry.outage_delay(self.settings.retry), self._remaining()
                if not self._outlasts(error) or remaining <= max(delay, _MOMENT):
                    if lost is not None:
                        raise lost from error
                    if isinstance(error, APIConnectionError | APIStatusError | UnexpectedResponse):
                        error.outcome_unknown = True
                    raise
            await self.caller.clock.sleep(delay)

    async def _pause(self, error: ReflexioError) -> None:
        """Wait before the next try; raise ``error`` when there is no time for one."""
        if self.delays is None:
            self.delays = retry.delays(self.settings.retry)
        if isinstance(error, RateLimited) and self.rate_limiter.opens_in() > 0:
            delay = 0.0  # the next try waits for the rate limiter
        else:
            asked_for = (error.retry_after if isinstance(error, APIStatusError) else None) or 0.0
            planned = next(self.delays, None)
            delay = max(retry.outage_delay(self.settings.retry) if planned is None else planned, asked_for)
            if delay >= self._remaining():
                raise error
        reason = type(error).__name__
        logger.info(
            "%s %s: try %d failed (%s); next in %.2f s",
            self.endpoint.method,
            self.endpoint.path,
            self.attempts,
            reason,
            delay,
            extra=fields(
                "call_retried",
                error,
                method=self.endpoint.method,
                route=self.endpoint.path,
                attempt=self.attempts,
                delay=delay,
            ),
        )
        self.caller.observer.retried(self.endpoint, reason)
        event = RetryEvent(self.endpoint.method, self.encoded.path, self.attempts, delay, reason)
        notify("on_retry", self.settings.on_retry, event)
        await self.caller.clock.sleep(delay)

    async def _wait_for_permit(self) -> int:
        """Wait until the rate limit allows a request, as long as this call may wait."""
        clock = self.caller.clock
        allowed = self._remaining() if self.limit_wait is None else self.limit_wait
        wait = self.rate_limiter.opens_in()
        if wait > allowed and not math.isinf(wait):
            raise self._too_long(wait, allowed) from self.last_error
        began = clock.now()
        try:
            async with clock.timeout(None if math.isinf(allowed) else allowed):
                permit = await self._acquire_permit()
        except TimeoutError:
            raise self._too_long(self.rate_limiter.opens_in(), allowed) from self.last_error
        finally:
            self.caller.observer.waited(self.endpoint, clock.now() - began)
        if self.limit_wait is not None:
            self.deadline += clock.now() - began
        return permit

    async def _acquire_permit(self) -> int:
        """Wait for a permit, or until the call is withdrawn."""
        withdrawn = self.withdrawn
        if withdrawn is None:
            return await self.rate_limiter.acquire()
        permit = None
        try:
            async with anyio.create_task_group() as group:

                async def cancel_when_withdrawn() -> None:
                    await withdrawn.wait()
                    group.cancel_scope.cancel()

                group.start_soon(cancel_when_withdrawn)
                permit = await self.rate_limiter.acquire()
                group.cancel_scope.cancel()
        except BaseException:
            if permit is not None:  # cancelled after the permit was given
                self.rate_limiter.release(permit, counted=False)
            raise
        if permit is not None:
            return permit
        if self.last_error is not None and self.outcome_unknown:
            raise self.last_error
        message = f"{self._name}: withdrawn while it waited for the rate limit"
        raise Withdrawn(message)

    def _too_long(self, wait: float, allowed: float) -> RateLimited:
        limit = self.rate_limiter.limit or "unknown"
        opens = "" if math.isinf(wait) else f" opens again in {wait:.0f} s, and"
        message = f"{self._name}: the limit ({limit}){opens} this call waits {allowed:.0f} s at most"
        return RateLimited(
            message,
            status=429,
            method=self.encoded.method,
            path=self.encoded.path,
            retry_after=None if math.isinf(wait) else wait,
            outcome_unknown=self.outcome_unknown,
            attempts=self.attempts,
        )
