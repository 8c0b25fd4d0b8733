"""Country codes, as buyers and sellers write them."""

import re

from quntedge.gateway.emulator.wire.errors import bad_request

_COUNTRY = re.compile(r"[a-z]{2}", re.ASCII)


def read_country(text: str | None) -> str | None:
    """A two-letter country code in lower case. Raises ApiFault 400 for anything else."""
    if text is None:
        return None
    code = text.strip().lower()
    if not _COUNTRY.fullmatch(code):
        raise bad_request("`country` must be a two-letter code, such as de.")
    return code
