"""Which language somebody reads, by what their browser says. Pure."""

import re
from collections.abc import Sequence

# RFC 9110, 12.4.2: 0 to 1 with at most three decimals.
_WEIGHT = re.compile(r"(0(\.[0-9]{0,3})?|1(\.0{0,3})?)", re.ASCII)


def preferred(accept_language: str, available: Sequence[str]) -> str:
    """The available language that an Accept-Language header (RFC 9110) likes best; the first one when it likes none.

    Regions count for their language: "fr-CA" asks for "fr". Of two liked equally the one named first wins. Weight 0
    refuses a language, "*" stands for all that are not named, and what cannot be read is passed over.
    """
    named: dict[str, tuple[int, int]] = {}
    for position, part in enumerate(accept_language.split(",")):
        tag, *parameters = (piece.strip() for piece in part.split(";"))
        thousandths = _thousandths(parameters)
        if not tag or thousandths is None:
            continue
        wanted = tag.partition("-")[0].lower()
        named[wanted] = max(named.get(wanted, (0, -position)), (thousandths, -position))
    others = named.get("*", (0, 0))
    # max() keeps the first of equals: "*" alone means the first available language.
    best = max(available, key=lambda language: named.get(language, others))
    return best if named.get(best, others)[0] > 0 else available[0]


def _thousandths(parameters: Sequence[str]) -> int | None:
    """The weight in thousandths, 1000 when none is given; None when it cannot be read."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() != "q":
            continue
        if _WEIGHT.fullmatch(value.strip()) is None:
            return None
        whole, _, decimals = value.strip().partition(".")
        return int(whole) * 1000 + int(decimals.ljust(3, "0"))
    return 1000
