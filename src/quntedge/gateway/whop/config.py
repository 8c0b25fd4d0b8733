"""Where Whop is and who we are there."""

from dataclasses import dataclass, field
from typing import Final, Literal

import httpx
from whop_sdk import WhopEnvironment

API_VERSION_DATE: Final = "2026-10-15-1"
"""The one API version this adapter reads and writes, on requests and on the webhook endpoint alike."""

_API_PATH: Final = "/api/v1"
_STOREFRONTS: Final = {"production": "https://whop.com", "sandbox": "https://sandbox.whop.com"}


@dataclass(frozen=True, slots=True)
class WhopSettings:
    """How to reach Whop.

    `base_url` is needed for the environment `custom` and refused otherwise: the address of a server that speaks Whop's
    API, with or without the path `/api/v1`.
    """

    environment: Literal["production", "sandbox", "custom"]
    api_key: str = field(repr=False)
    account_id: str
    base_url: str | None = None

    def __post_init__(self) -> None:
        """Raises `ValueError` with a sentence that says which setting is wrong."""
        if not self.api_key.strip() or not self.api_key.isascii():
            raise ValueError("WHOP_API_KEY is missing or holds characters no key has")
        if not self.account_id.startswith("biz_"):
            raise ValueError("WHOP_ACCOUNT_ID must be the id of the account, which starts with biz_")
        if (self.environment == "custom") != (self.base_url is not None):
            raise ValueError("WHOP_BASE_URL belongs to WHOP_ENVIRONMENT=custom, and only to it")
        if self.base_url is not None:
            _parsed(self.base_url)

    @property
    def sdk_environment(self) -> WhopEnvironment:
        """The environment object of the SDK."""
        if self.environment == "production":
            return WhopEnvironment.PRODUCTION
        if self.environment == "sandbox":
            return WhopEnvironment.SANDBOX
        url = _parsed(self.base_url or "")
        api = _origin(url) + (url.path.rstrip("/") or _API_PATH)
        # Raw card data never passes through us; the second address only has to be something that is not Whop's.
        return WhopEnvironment(api=api, vault=api)

    @property
    def storefront(self) -> str:
        """The origin that relative purchase addresses are meant for."""
        return _STOREFRONTS.get(self.environment) or _origin(_parsed(self.base_url or ""))


def _parsed(base_url: str) -> httpx.URL:
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise ValueError(f"WHOP_BASE_URL is no address: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("WHOP_BASE_URL must be an http or https address such as http://127.0.0.1:9000/api/v1")
    return url


def _origin(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii')}"
