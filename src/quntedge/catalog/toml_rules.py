"""Reading the rules of a plan from its TOML tables."""

import re
from decimal import Decimal
from typing import cast

from quntedge.catalog.plan_rules import (
    DISPUTE_ACTIONS,
    MOMENTS,
    OFFER_KINDS,
    PAUSE_ACCESS,
    PRORATIONS,
    REFUND_ACCESS,
    ChangeRules,
    DisputeAction,
    DisputeRules,
    DunningRules,
    Moment,
    OfferKind,
    PauseAccess,
    PauseRules,
    PlanRules,
    Proration,
    RefundAccess,
    SaveOffer,
)
from quntedge.catalog.toml_tables import MOST_DAYS, Table
from quntedge.kit.money import InvalidMoney, Money

_PLAIN = re.compile(r"[0-9]+(?:\.[0-9]+)?", re.ASCII)
_MOST_ATTEMPTS = 10
_LONGEST_DUNNING = 60
_MOST_PERIODS = 12
_HOURS = 24
_HOURS_HINT = "write two hours of the day, the earlier one first, for example [9, 18]"

CHANGE_FIELDS = {
    "proration": "What becomes of paid time that a change now leaves unused: `credit` (default) takes it off the new "
    "plan's price, `refund` gives it back, `extension` adds days of the new plan, `none` forfeits it.",
    "upgrade": "When a change to something dearer happens: `now` (default) or `period_end`.",
    "downgrade": "When a change to something cheaper happens: `period_end` (default) or `now`.",
    "targets": "Codes of the plans that can be changed to. Without it: every plan on sale.",
}
DUNNING_FIELDS = {
    "max_attempts": "How often a failed renewal is tried again by us, 0 to 10. Default: 3.",
    "backoff_days": "How many days to wait before each attempt, none shorter than the one before; the last is used for "
    "all further ones. Together at most 60 days, as long as Whop keeps an unpaid membership. Default: `[1, 3, 9]`.",
    "window": "Between which hours of the customer's day attempts are made. Default: `[9, 18]`.",
}
SAVE_OFFER_FIELDS = {
    "kind": "`discount` or `pause`.",
    "percent": 'Of a discount: percent off, a whole number or a text such as `"12.5"`.',
    "amount": "Of a discount, instead of `percent`: the amount off in the plan's own currency, as text.",
    "periods": "Of a discount: for how many renewals, 1 to 12.",
    "days": "Of a pause: how long.",
}
DISPUTE_FIELDS = {
    "open": "While a buyer's bank disputes a payment: `keep` (default), `pause_access` (access ends until the dispute"
    " is won) or `cancel` (the subscription ends at once).",
    "lost": "When the dispute is lost: `cancel` (default), `pause_access` or `keep`.",
}
PAUSE_FIELDS = ("pause_access", "pause_max_days")


def plan_rules(plan: Table, kind: str, price: Money) -> PlanRules:
    """The rules in a plan's table; `price` is the one in the plan's own currency. Raises `InvalidCatalog`."""
    if kind != "recurring":
        for name in ("dunning", "save_offer", *PAUSE_FIELDS):
            if plan.has(name):
                raise plan.error(name, f"only a recurring plan renews; leave it out of a {kind} one")
    if kind == "free" and plan.has("dispute"):
        raise plan.error("dispute", "nothing is paid for a free plan; leave it out")
    pause = _pause(plan)
    return PlanRules(
        change=_change(plan.table("change", CHANGE_FIELDS)),
        dunning=_dunning(plan.table("dunning", DUNNING_FIELDS)),
        save_offer=_save_offer(plan.table("save_offer", SAVE_OFFER_FIELDS), price, pause)
        if plan.has("save_offer")
        else None,
        pause=pause,
        dispute=_dispute(plan.table("dispute", DISPUTE_FIELDS)),
        refund_access=_refund_access(plan, kind),
    )


def _change(table: Table) -> ChangeRules:
    return ChangeRules(
        proration=cast(Proration, table.choice("proration", PRORATIONS, "credit")),
        upgrade=cast(Moment, table.choice("upgrade", MOMENTS, "now")),
        downgrade=cast(Moment, table.choice("downgrade", MOMENTS, "period_end")),
        targets=tuple(sorted(set(table.texts("targets")))) if table.has("targets") else None,
    )


def _dunning(table: Table) -> DunningRules:
    usual = DunningRules()
    backoff = table.numbers(
        "backoff_days",
        default=usual.backoff_days,
        smallest=1,
        largest=_LONGEST_DUNNING,
        hint="write whole days to wait, none shorter than the one before, for example [1, 3, 9]",
    )
    attempts = table.number("max_attempts", smallest=0, largest=_MOST_ATTEMPTS, default=usual.max_attempts)
    waits = [backoff[min(number, len(backoff) - 1)] for number in range(attempts)]
    if sum(waits) > _LONGEST_DUNNING:
        raise table.error(
            "backoff_days",
            f"{attempts} attempts after {', '.join(map(str, waits))} days take {sum(waits)} days; Whop keeps an unpaid "
            f"membership for {_LONGEST_DUNNING}",
        )
    window = table.numbers("window", default=usual.window, smallest=0, largest=_HOURS, hint=_HOURS_HINT)
    if len(window) != len(usual.window) or window[0] == window[1]:
        raise table.error("window", f"is {list(window)!r}; {_HOURS_HINT}")
    return DunningRules(attempts, backoff, (window[0], window[1]))


def _save_offer(table: Table, price: Money, pause: PauseRules) -> SaveOffer:
    kind = cast(OfferKind, table.choice("kind", OFFER_KINDS))
    if kind == "pause":
        _refuse(table, "a pause has", "percent", "amount", "periods")
        days = table.days("days", smallest=1)
        if pause.max_days is not None and days > pause.max_days:
            raise table.error("days", f"is {days}, but pause_max_days is {pause.max_days}")
        return SaveOffer(kind, days=days)
    _refuse(table, "a discount has", "days")
    if table.has("percent") == table.has("amount"):
        raise table.error("percent", "write either percent or amount")
    periods = table.number("periods", smallest=1, largest=_MOST_PERIODS)
    if table.has("percent"):
        return SaveOffer(kind, percent_bp=basis_points(table), periods=periods)
    return SaveOffer(kind, amount=_amount(table, price), periods=periods)


def _refuse(table: Table, which: str, *names: str) -> None:
    for name in names:
        if table.has(name):
            raise table.error(name, f"{which} none; leave it out")


def basis_points(table: Table) -> int:
    """The field `percent` in hundredths of a percent. Raises `InvalidCatalog`."""
    value = table.raw("percent")
    hint = 'write a number of percent above 0, at most 100, with up to two decimals, for example 20 or "12.5"'
    plain = type(value) is int or (isinstance(value, str) and _PLAIN.fullmatch(value))
    percent = Decimal(value) if plain else None
    if percent is None or not 0 < percent <= 100 or percent * 100 % 1:
        raise table.error("percent", f"is {value!r}; {hint}")
    return int(percent * 100)


def _amount(table: Table, price: Money) -> Money:
    text = table.text("amount", longest=30, hint='write it as text in major units, for example "5.00"')
    try:
        amount = Money.parse(text, price.currency)
    except InvalidMoney as error:
        raise table.error("amount", f"{text!r} in {price.currency.upper()} cannot be: {error}") from None
    if not Money.zero(price.currency) < amount < price:
        raise table.error("amount", f"{text!r} is no discount; write an amount above zero and below the price")
    return amount


def _dispute(table: Table) -> DisputeRules:
    return DisputeRules(
        open=cast(DisputeAction, table.choice("open", DISPUTE_ACTIONS, "keep")),
        lost=cast(DisputeAction, table.choice("lost", DISPUTE_ACTIONS, "cancel")),
    )


def _refund_access(plan: Table, kind: str) -> RefundAccess:
    if kind == "free" and plan.has("refund_access"):
        raise plan.error("refund_access", "nothing is paid for a free plan; leave it out")
    access = cast(RefundAccess, plan.choice("refund_access", REFUND_ACCESS, "keep"))
    if kind == "lifetime" and access == "end_of_period":
        raise plan.error("refund_access", "a lifetime plan has no periods; write keep or revoke")
    return access


def _pause(plan: Table) -> PauseRules:
    return PauseRules(
        access=cast(PauseAccess, plan.choice("pause_access", PAUSE_ACCESS, "period")),
        max_days=plan.days("pause_max_days", smallest=1, largest=MOST_DAYS) if plan.has("pause_max_days") else None,
    )
