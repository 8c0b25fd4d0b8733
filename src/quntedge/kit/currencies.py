"""ISO 4217 list one: the active currencies and funds that have a minor unit, with its number of decimals.

Codes without a minor unit (gold XAU, testing XTS, SDR XDR and their like) are not money here. The standard's decimals
are used, not those in which an amount is usually shown: they differ (the afghani has 2 and is shown with 0).
"""

from collections.abc import Mapping
from types import MappingProxyType

_TWO_DECIMALS = """
    aed afn all amd aoa ars aud awg azn bam bbd bdt bmd bnd bob bov brl bsd btn bwp byn bzd cad cdf che chf chw cny
    cop cou crc cup cve czk dkk dop dzd egp ern etb eur fjd fkp gbp gel ghs gip gmd gtq gyd hkd hnl htg huf idr ils
    inr irr jmd kes kgs khr kpw kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mru mur mvr mwk mxn mxv myr
    mzn nad ngn nio nok npr nzd pab pen pgk php pkr pln qar ron rsd rub sar sbd scr sdg sek sgd shp sle sos srd ssp
    stn svc syp szl thb tjs tmt top try ttd twd tzs uah usd usn uyu uzs ved ves wst xad xcd xcg yer zar zmw zwg
"""
_NO_DECIMALS = "bif clp djf gnf isk jpy kmf krw pyg rwf ugx uyi vnd vuv xaf xof xpf"
_THREE_DECIMALS = "bhd iqd jod kwd lyd omr tnd"
_FOUR_DECIMALS = "clf uyw"

EXPONENTS: Mapping[str, int] = MappingProxyType(
    {
        code: decimals
        for decimals, codes in ((0, _NO_DECIMALS), (2, _TWO_DECIMALS), (3, _THREE_DECIMALS), (4, _FOUR_DECIMALS))
        for code in codes.split()
    }
)
"""Lower-case code → number of decimals of its minor unit."""
