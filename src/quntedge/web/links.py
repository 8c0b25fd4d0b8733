"""Where a page may lead next."""

import re
from urllib.parse import quote, urlsplit

from starlette.types import Scope

HOME = "/billing"
_LONGEST = 512
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")


def local_path(text: str | None, default: str = HOME) -> str:
    """The address to go to next if it is one of ours, else `default`.

    Only an absolute path counts. Browsers read `//host`, `/\\host` and `/<tab>/host` as another site, so those and
    every blank, control character and backslash are refused.
    """
    if not text or len(text) > _LONGEST or not text.startswith("/") or text.startswith("//"):
        return default
    if _FORBIDDEN.search(text):
        return default
    try:
        parts = urlsplit(text)
    except ValueError:
        return default
    return default if parts.scheme or parts.netloc else text


def sign_in_path(scope: Scope) -> str:
    """The sign-in page that leads back to this address afterwards."""
    here = quote(scope["path"])
    query = scope["query_string"].decode("latin-1")
    target = local_path(f"{here}?{query}" if query else here)
    return f"/sign-in?next={quote(target, safe='')}"
