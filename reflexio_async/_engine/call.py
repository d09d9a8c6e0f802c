"""One call, from model to value: token, pacing, exchange, retry, typed error."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, cast

import anyio

from reflexio_async._engine import retry, wire
from reflexio_async._engine.events import RequestEvent, RetryEvent, notify
from reflexio_async.errors import (
    APIConnectionError,
    APIStatusError,
    APITimeout,
    ClientClosed,
    RateLimited,
    ReflexioError,
    RequestRefused,
    Withdrawn,
)

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine, Iterator

    from reflexio_async._engine.auth import Credentials
    from reflexio_async._engine.clock import Clock
    from reflexio_async._engine.events import RequestHook
    from reflexio_async._engine.http import HttpClient
    from reflexio_async._engine.rate_limits import RateLimiter, RateLimiters
    from reflexio_async._engine.service import Service
    from reflexio_async._engine.settings import Settings
    from reflexio_async._engine.wire import EncodedRequest, Endpoint, RawResponse

T = TypeVar("T")
logger = logging.getLogger("reflexio_async")


Repeatable: TypeAlias = bool | Callable[[float], Awaitable[bool]]


class Caller:
    """What carries every call of one client."""

    def __init__(
        self,
        service: Service,
        http: HttpClient,
        credentials: Credentials,
        rate_limiters: RateLimiters,
        clock: Clock,
    ) -> None:
        self.service = service
        self.credentials = credentials
        self.clock = clock
        self._http = http
        self._rate_limiters = rate_limiters

    def rate_limiter(self, path: str) -> RateLimiter:
        """What is known of the rate limit of ``path``."""
        return self._rate_limiters.rate_limiter(path)

    def send(
        self,
        endpoint: Endpoint[T],
        encoded: EncodedRequest,
        settings: Settings,
        *,
        limit_wait: float | None = None,
        repeatable: Repeatable | None = None,
        withdrawn: asyncio.Event | None = None,
        on_attempt: Callable[[], None] | None = None,
        rate_limiter: RateLimiter | None = None,
    ) -> Coroutine[Any, Any, T]:
        """Return the coroutine of one call; its result is the decoded answer.

        The call takes at most ``settings.timeout`` seconds (or the endpoint's deadline, if that is longer).
        This includes retries and waiting for the rate limit.

        Args:
            endpoint: The route.
            encoded: The request as it will be sent.
            settings: The settings of the client, or of one of its views.
            limit_wait: Seconds to wait for the rate limit, not counted against the timeout. Infinite in a
                batch; 0 raises RateLimited at once; None counts the wait against the timeout.
            repeatable: Replaces ``endpoint.may_repeat``. A function is called with the seconds left when an
                answer was lost, and returns whether to send again.
            withdrawn: When this event is set, a wait for the rate limit ends in ``Withdrawn``.
            on_attempt: Called before every HTTP exchange of this call.
            rate_limiter: Replaces the rate limiter of the request's path.
        """
        call: _Call[T] = _Call(
            self,
            endpoint,
            encoded,
            settings,
            rate_limiter=rate_limiter or self.rate_limiter(encoded.path),
        )
        call.limit_wait = limit_wait
        call.withdrawn = withdrawn
        call.on_attempt = on_attempt
        call.repeatable = repeatable
        return call.run()

    def exchange(
        self,
        encoded: EncodedRequest,
        authorization: str | None,
        settings: Settings,
        deadline: float,
        attempt: int,
    ) -> Coroutine[Any, Any, RawResponse]:
        """One request and its answer, whatever the status, once awaited."""
        timeout = self.left(deadline)
        if settings.on_request is None:
            return self._http.send(encoded, authorization=authorization, timeout=timeout)
        return self._observed(encoded, authorization, settings.on_request, timeout, attempt)

    async def renewed(self, encoded: EncodedRequest, refused: str | None, deadline: float) -> bool:
        """Whether another token is now in use than ``refused``."""
        try:
            async with self.clock.timeout(self.left(deadline)):
                return await self.credentials.renew(refused)
        except TimeoutError:
            message = f"{encoded.method} {encoded.path}: no time was left to sign in again; nothing was done"
            raise APITimeout(message) from None

    def left(self, deadline: float) -> float:
        """Seconds until ``deadline``, a moment at the least."""
        return max(0.001, deadline - self.clock.now())

    async def _observed(
        self,
        encoded: EncodedRequest,
        authorization: str | None,
        hook: RequestHook,
        timeout: float,
        attempt: int,
    ) -> RawResponse:
        started = self.clock.now()
        status: int | None = None
        failure: str | None = None
        try:
            response = await self._http.send(encoded, authorization=authorization, timeout=timeout)
            status = response.status
        except BaseException as error:
            failure = type(error).__name__
            raise
        finally:
            event = RequestEvent(
                encoded.method, encoded.path, status, self.clock.now() - started, attempt, failure
            )
            notify("on_request", hook, event)
        return response


class _Call(Generic[T]):
    """The tries of one call."""

    __slots__ = (
        "_attempts",
        "_caller",
        "_deadline",
        "_delays",
        "_encoded",
        "_endpoint",
        "_last",
        "_rate_limiter",
        "_settings",
        "_unknown",
        "limit_wait",
        "on_attempt",
        "repeatable",
        "withdrawn",
    )

    def __init__(
        self,
        caller: Caller,
        endpoint: Endpoint[T],
        encoded: EncodedRequest,
        settings: Settings,
        *,
        rate_limiter: RateLimiter,
    ) -> None:
        self._caller = caller
        self._endpoint = endpoint
        self._encoded = encoded
        self._settings = settings
        self.limit_wait: float | None = None
        self.repeatable: Repeatable | None = None
        self.withdrawn: asyncio.Event | None = None
        self.on_attempt: Callable[[], None] | None = None
        self._rate_limiter = rate_limiter
        self._deadline = caller.clock.now() + max(settings.timeout, endpoint.deadline or 0.0)
        self._attempts = 0
        self._unknown = False  # whether any try may have had its effect
        self._last: ReflexioError | None = None
        self._delays: Iterator[float] | None = None

    async def run(self) -> T:
        while True:
            permit = self._rate_limiter.try_enter()
            if permit is None:
                permit = await self._permit_in_time()
            try:
                return await self._try(permit)
            except ClientClosed:
                if self._last is not None and self._unknown:
                    raise self._last from None  # the client was closed between two tries
                raise
            except (APIConnectionError, APIStatusError, RequestRefused) as error:
                error.attempts = self._attempts
                self._last = error
                if isinstance(error, RequestRefused):
                    error.repeated = self._unknown
                else:
                    # What a later try meets does not take back that an earlier one may have worked.
                    self._unknown = error.outcome_unknown = self._unknown or error.outcome_unknown
                if not await self._may_repeat(error):
                    if isinstance(error, RequestRefused) and not self._raises_refusals:
                        return cast("T", error.response)
                    raise
                await self._pause(error)

    async def _try(self, permit: int) -> T:
        self._attempts += 1
        caller, endpoint, encoded = self._caller, self._endpoint, self._encoded
        token = None if endpoint.public else caller.credentials.header
        counted = True
        try:
            response = await self._exchange(token)
            if (
                response.status == 401
                and not endpoint.public
                and await caller.renewed(encoded, token, self._deadline)
            ):
                response = await self._exchange(caller.credentials.header)
            # Facts: 422s are free, and a call without a valid token never reaches the limiter.
            counted = response.status not in (401, 422, 429)
        finally:
            self._rate_limiter.answered(permit, counted=counted)
        if "X-RateLimit-Remaining" in response.headers:
            self._rate_limiter.observe(response.headers)
        redact = caller.credentials.redacted
        if 200 <= response.status < 300:
            value = wire.decode(endpoint, caller.service, response, redact)
            refusal = wire.refusal_of(endpoint, caller.service, value, redact)
            if refusal is not None and (self._raises_refusals or self._nothing_stored(refusal)):
                raise refusal
            return value
        error = wire.error_for(
            endpoint, caller.service, encoded, response, now=caller.clock.time(), redact=redact
        )
        if isinstance(error, RateLimited) and not caller.service.is_busy(error.server_message):
            self._rate_limiter.refused(permit, response.headers, response.body)
        raise error

    def _exchange(self, authorization: str | None) -> Coroutine[Any, Any, RawResponse]:
        if self.on_attempt is not None:
            self.on_attempt()
        return self._caller.exchange(
            self._encoded, authorization, self._settings, self._deadline, self._attempts
        )

    @property
    def _raises_refusals(self) -> bool:
        return self._endpoint.refusal == "raise" and self._settings.raise_on_refusal

    async def _may_repeat(self, error: APIConnectionError | APIStatusError | RequestRefused) -> bool:
        out_of_tries = self._attempts >= self._settings.retry.max_attempts
        if isinstance(error, RateLimited):
            # Refused before it had any effect: it costs a try only when the limit's end is not known.
            return self.limit_wait != 0 and (self._rate_limiter.limit is not None or not out_of_tries)
        if out_of_tries or isinstance(error, APITimeout):
            return False
        if isinstance(error, RequestRefused):
            return self._nothing_stored(error)
        if isinstance(error, APIStatusError) and error.status < 500:
            return False
        return not self._unknown or await self._is_repeatable()

    async def _is_repeatable(self) -> bool:
        if self.repeatable is None:
            return self._endpoint.may_repeat
        if not isinstance(self.repeatable, bool):
            try:
                self.repeatable = await self.repeatable(self._remaining())
            except ReflexioError as unanswered:
                logger.info("cannot learn whether repeating is safe (%s)", type(unanswered).__name__)
                return False
        return self.repeatable

    async def _pause(self, error: ReflexioError) -> None:
        if self._delays is None:
            self._delays = retry.delays(self._settings.retry)
        named = error.retry_after if isinstance(error, APIStatusError) else None
        if isinstance(error, RateLimited) and self._rate_limiter.opens_in() > 0:
            delay = 0.0  # the gate makes the next try wait
        else:
            delay = max(next(self._delays, self._settings.retry.max_delay), named or 0.0)
            if delay >= self._remaining():
                raise error
        endpoint, attempt = self._endpoint, self._attempts
        logger.info(
            "%s %s: try %d failed (%s); next in %.2f s",
            endpoint.method,
            endpoint.path,
            attempt,
            type(error).__name__,
            delay,
        )
        event = RetryEvent(endpoint.method, self._encoded.path, attempt, delay, type(error).__name__)
        notify("on_retry", self._settings.on_retry, event)
        await self._caller.clock.sleep(delay)

    async def _permit_in_time(self) -> int:
        """A ticket once the rate limit allows it, within the call's patience."""
        clock = self._caller.clock
        allowed = self._remaining() if self.limit_wait is None else self.limit_wait
        wait = self._rate_limiter.opens_in()
        if wait > allowed and not math.isinf(wait):
            raise self._too_long(wait, allowed) from self._last
        began = clock.now()
        try:
            async with clock.timeout(None if math.isinf(allowed) else allowed):
                permit = await self._enter()
        except TimeoutError:
            raise self._too_long(self._rate_limiter.opens_in(), allowed) from self._last
        if self.limit_wait is not None:
            self._deadline += clock.now() - began
        return permit

    async def _enter(self) -> int:
        withdrawn = self.withdrawn
        if withdrawn is None:
            return await self._rate_limiter.enter()
        permit = None
        try:
            async with anyio.create_task_group() as group:

                async def watch() -> None:
                    await withdrawn.wait()
                    group.cancel_scope.cancel()

                group.start_soon(watch)
                permit = await self._rate_limiter.enter()
                group.cancel_scope.cancel()
        except BaseException:
            if permit is not None:  # cancelled at the very moment
                self._rate_limiter.answered(permit, counted=False)
            raise
        if permit is not None:
            return permit
        if self._last is not None and self._unknown:
            raise self._last
        message = (
            f"{self._endpoint.method} {self._encoded.path}: withdrawn while it waited for the rate limit"
        )
        raise Withdrawn(message)

    def _too_long(self, wait: float, allowed: float) -> RateLimited:
        endpoint = self._endpoint
        limit = self._rate_limiter.limit or "unknown"
        opens = "" if math.isinf(wait) else f" opens again in {wait:.0f} s, and"
        message = (
            f"{endpoint.method} {self._encoded.path}: the limit ({limit}){opens} "
            f"this call waits {allowed:.0f} s at most"
        )
        return RateLimited(
            message,
            status=429,
            method=endpoint.method,
            path=self._encoded.path,
            retry_after=None if math.isinf(wait) else wait,
            outcome_unknown=self._unknown,
            attempts=self._attempts,
        )

    def _remaining(self) -> float:
        return self._caller.left(self._deadline)

    def _nothing_stored(self, refusal: RequestRefused) -> bool:
        text = self._caller.service.nothing_stored
        return bool(text) and text in wire.refusal_text(refusal.response)
