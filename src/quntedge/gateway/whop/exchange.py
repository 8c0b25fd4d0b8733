"""One call through the official SDK, and what came of it.

The SDK builds and sends the request. Its typed models are deliberately not what we read: the raw answer is caught on
its way and parsed by the same parsers that read webhooks, with exact numbers, so that a field the SDK's models do not
expect can never break a call and no amount passes through a float.
"""

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from functools import cache
from typing import Final

import httpx
from whop_sdk import AsyncWhop
from whop_sdk.core.api_error import ApiError
from whop_sdk.core.parse_error import ParsingError
from whop_sdk.core.request_options import RequestOptions

from quntedge.gateway.errors import GatewayError
from quntedge.gateway.port import UnusableEvent
from quntedge.gateway.whop.config import API_VERSION_DATE, WhopSettings
from quntedge.gateway.whop.documents import load_json
from quntedge.gateway.whop.errors import from_failure, from_response, from_unusable
from quntedge.gateway.whop.limiter import Limiter
from quntedge.kit.metrics import GATEWAY_CALLS

TIMEOUT: Final = httpx.Timeout(20.0, connect=5.0)
UPLOAD_TIMEOUT: Final = httpx.Timeout(50.0, connect=5.0)
"""Ten megabytes at two megabits a second take forty seconds."""
LIMITS: Final = httpx.Limits(max_connections=50, max_keepalive_connections=20, keepalive_expiry=30.0)
READ_RETRIES: Final = 2
DEADLINE_SECONDS: Final = 60.0
"""For a whole call with its retries; httpx's own timeouts start afresh with every chunk that arrives."""

MAX_IDEMPOTENCY_KEY_BYTES: Final = 255
_IDEMPOTENCY_KEY = re.compile(rf"[!-~]{{1,{MAX_IDEMPOTENCY_KEY_BYTES}}}")

Call = Callable[[AsyncWhop, RequestOptions], Awaitable[object]]


class _Caught:
    """The last answer of the call that is running in this context."""

    response: httpx.Response | None = None


_caught: ContextVar[_Caught] = ContextVar("whop_caught")


async def _catch(response: httpx.Response) -> None:
    await response.aread()
    _caught.get().response = response


@cache
def _trusted() -> ssl.SSLContext:
    """The authorities we trust; reading them takes longer than everything else about a client."""
    return httpx.create_ssl_context(trust_env=False)


class Exchange:
    """Runs calls: limits their rate, retries reads only, and maps everything that goes wrong."""

    def __init__(
        self,
        settings: WhopSettings,
        *,
        limiter: Limiter,
        read_retries: int = READ_RETRIES,
        transport: httpx.AsyncBaseTransport | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._limiter = limiter
        self._read_retries = read_retries
        self._deadline_seconds = deadline_seconds
        self._http = httpx.AsyncClient(
            timeout=TIMEOUT,
            limits=LIMITS,
            follow_redirects=False,
            transport=transport,
            verify=_trusted(),
            # A proxy in the environment must not be able to divert calls that carry our key.
            trust_env=False,
            event_hooks={"response": [_catch]},
        )
        # No idempotency key here: set on the client it would be sent with every request, and the second write would
        # be answered with the outcome of the first.
        self._sdk = AsyncWhop(
            token=settings.api_key,
            environment=settings.sdk_environment,
            api_version_date=API_VERSION_DATE,
            max_retries=0,
            httpx_client=self._http,
        )

    async def read(self, operation: str, call: Call) -> object:
        """The JSON document that answers a read, None for an empty answer.

        Raises the port's errors; `GatewayUnavailable` for passing trouble."""
        options: RequestOptions = {"max_retries": self._read_retries}
        return await self._run(operation, call, options, write=False)

    async def write(self, operation: str, call: Call, *, idempotency_key: str | None) -> object:
        """The JSON document that answers a write, None for an empty answer. Sent exactly once.

        Without a key only for operations that Whop lets be repeated harmlessly. Raises the port's errors;
        `GatewayOutcomeUnknown` when it may have been done, `ValueError` for a key Whop would refuse.
        """
        options: RequestOptions = {"max_retries": 0}
        if idempotency_key is not None:
            if _IDEMPOTENCY_KEY.fullmatch(idempotency_key) is None:
                raise ValueError(f"an idempotency key is 1 to {MAX_IDEMPOTENCY_KEY_BYTES} visible ASCII characters")
            options["additional_headers"] = {"Idempotency-Key": idempotency_key}
        return await self._run(operation, call, options, write=True)

    async def put(self, operation: str, url: str, headers: Mapping[str, str], content: bytes) -> None:
        """Puts bytes to an address that Whop has signed. Our key does not travel there: the signature is enough.

        Raises the port's errors; `GatewayOutcomeUnknown` when they may have landed.
        """

        async def send(_sdk: AsyncWhop, _options: RequestOptions) -> object:
            return await self._http.put(url, headers=dict(headers), content=content, timeout=UPLOAD_TIMEOUT)

        await self._run(operation, send, {}, write=True, read_answer=False)

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def _run(
        self, operation: str, call: Call, options: RequestOptions, *, write: bool, read_answer: bool = True
    ) -> object:
        outcome = "error"
        try:
            document = await self._answer(operation, call, options, write=write, read_answer=read_answer)
            outcome = "ok"
        except GatewayError as error:
            outcome = error.code
            raise
        finally:
            GATEWAY_CALLS.labels(operation, outcome).inc()
        return document

    async def _answer(
        self, operation: str, call: Call, options: RequestOptions, *, write: bool, read_answer: bool
    ) -> object:
        await self._limiter.wait(operation)
        caught = _Caught()
        token = _caught.set(caught)
        try:
            async with asyncio.timeout(self._deadline_seconds):
                await call(self._sdk, options)
        except (httpx.HTTPError, TimeoutError) as error:
            raise from_failure(error, operation, write=write) from error
        except (ApiError, ParsingError, ValueError, RecursionError):
            # The SDK's own judgement of the answer: ours follows below, from the answer itself. Without an answer it
            # was our mistake, which must not be hidden.
            if caught.response is None:
                raise
        finally:
            _caught.reset(token)
        response = caught.response
        if response is None:
            raise RuntimeError(f"{operation} ended without an answer and without an error")
        if not response.is_success:
            raise from_response(response, operation, write=write)
        if not response.content or not read_answer:
            return None
        try:
            return load_json(response.content)
        except UnusableEvent as error:
            raise from_unusable(error, operation) from error
