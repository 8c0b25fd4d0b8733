"""The currency data against an independent source, babel's copy of CLDR."""

from babel.core import get_global
from babel.numbers import get_currency_precision, get_territory_currencies, list_currencies

from quntedge.kit.currencies import EXPONENTS

# Where CLDR shows fewer decimals than the standard's minor unit has. Nothing else may differ.
SHOWN_WITHOUT_DECIMALS = {"afn", "all", "iqd", "irr", "kpw", "lak", "lbp", "mga", "mmk", "rsd", "sos", "syp", "yer"}
# Bulgaria has the euro since 2026; the installed CLDR may still say otherwise.
LEFT_THE_STANDARD = {"bgn"}
# Funds and units of account, which circulate in no territory, and codes younger than some CLDR releases.
NOT_IN_CIRCULATION = {"bov", "che", "chw", "clf", "cou", "mxv", "svc", "usn", "uyi", "uyw", "ved", "xad"}


def test_exponents_agree_with_cldr_wherever_cldr_speaks_of_the_minor_unit() -> None:
    differing = {code for code, decimals in EXPONENTS.items() if get_currency_precision(code.upper()) != decimals}
    assert differing == SHOWN_WITHOUT_DECIMALS
    assert all(get_currency_precision(code.upper()) == 0 for code in differing)


def test_every_currency_in_circulation_is_known() -> None:
    circulating = {
        code.lower()
        for territory in get_global("territory_currencies")
        for code in get_territory_currencies(territory, tender=True)
    }
    assert circulating - EXPONENTS.keys() <= LEFT_THE_STANDARD
    assert EXPONENTS.keys() - circulating <= NOT_IN_CIRCULATION
    assert EXPONENTS.keys() - {code.lower() for code in list_currencies()} <= {"xad"}


def test_the_exceptions_to_two_decimals_are_those_of_the_standard() -> None:
    by_decimals: dict[int, set[str]] = {}
    for code, decimals in EXPONENTS.items():
        by_decimals.setdefault(decimals, set()).add(code)
    assert by_decimals.keys() == {0, 2, 3, 4}
    assert by_decimals[0] == set("bif clp djf gnf isk jpy kmf krw pyg rwf ugx uyi vnd vuv xaf xof xpf".split())
    assert by_decimals[3] == set("bhd iqd jod kwd lyd omr tnd".split())
    assert by_decimals[4] == {"clf", "uyw"}


def test_codes_are_lower_case_and_metals_tests_and_withdrawn_codes_are_not_money() -> None:
    assert all(len(code) == 3 and code.isascii() and code.islower() for code in EXPONENTS)
    refused = set("xau xag xpt xpd xts xxx xdr xua xsu xba bgn hrk ang zwl sll cuc eth".split())
    assert not refused & EXPONENTS.keys()
