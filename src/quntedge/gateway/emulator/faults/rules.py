"""What is to go wrong on purpose: rules that say which deliveries or API calls are hit, how often, and in which way.

A rule draws from a stream of its own: the same seed, the same rule and the same sequence of events give the same
faults. Rules only choose. What a fault does to a delivery or to an answer is done where those are made, and never to
the emulator's objects.
"""

import asyncio
import itertools
import random
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

DELIVERY_FAULTS = ("duplicate", "reorder", "delay", "drop", "wrong_signature", "stale_timestamp")
API_FAULTS = (
    "error_before",
    "error_after",
    "hang_before",
    "hang_after",
    "slow",
    "cut_before",
    "cut_after",
    "cut_body",
    "rate_limit",
    "garbage",
    "shifting_list",
)
QUICK = ("duplicate", "reorder", "drop", "delay")
"""Delivery faults that can be set with one word; such a rule's id is the fault's name."""

_LOG_LENGTH = 500
_SPENT_RULES_KEPT = 50


@dataclass(frozen=True, slots=True)
class Plan:
    """What a rule is asked to do."""

    fault: str
    match: str = "*"
    """For deliveries an event such as `payment.*`, for the API `POST /payments/*/refund`. `*` stands for anything but
    a slash, `**` for anything; a path without a method means every method, a lone `*` means everything."""
    times: int | None = None
    """How many hits; None goes on until disarmed."""
    probability: float = 1.0
    skip: int = 0
    """How many matches pass unharmed first."""
    seed: int = 0
    webhook_id: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    """What else the fault wants to know, e.g. `delay_ms`."""

    @property
    def for_api(self) -> bool:
        """Whether API calls are meant, and not deliveries."""
        return self.fault in API_FAULTS


class Rule:
    """An armed plan."""

    def __init__(self, id_: str, plan: Plan) -> None:
        self.id = id_
        self.plan = plan
        self.left = plan.times
        self.seen = 0
        self.done = 0
        self.random = random.Random(f"{plan.seed}:{plan.fault}:{plan.match}")  # noqa: S311 - repeatable, not a secret
        self.memory: dict[str, Any] = {}
        """What a fault has to remember from one call to the next."""
        self.hanging = 0
        """How many calls hang because of it now."""
        self.released = asyncio.Event()
        """Set when the rule is disarmed: what hangs because of it goes on."""
        self._pattern = compile_match(plan.match, for_api=plan.for_api)

    @property
    def armed(self) -> bool:
        """Whether it may still hit."""
        return self.left is None or self.left > 0

    def matches(self, name: str, webhook_id: str | None = None) -> bool:
        """Whether a delivery or call is meant. Counts and draws nothing."""
        wanted = self.plan.webhook_id
        return self.armed and wanted in (None, webhook_id) and self._pattern.fullmatch(name) is not None

    def draw(self) -> bool:
        """Counts a match and decides whether it is hit. Every match after the skipped ones takes one number."""
        self.seen += 1
        if self.seen <= self.plan.skip or (self.plan.probability < 1 and self.random.random() >= self.plan.probability):
            return False
        self.done += 1
        if self.left is not None:
            self.left -= 1
        return True


@dataclass(frozen=True, slots=True)
class Done:
    """A fault that happened."""

    at: datetime
    rule_id: str
    fault: str
    what: str


class Faults:
    """All rules, in the order in which they were armed, and what they did."""

    def __init__(self, seed: int = 0) -> None:
        """`seed` is used by rules that name none of their own."""
        self._seed = seed
        self._numbers = itertools.count(1)
        self._delivery_rules: dict[str, Rule] = {}
        self._api_rules: dict[str, Rule] = {}
        self.log: deque[Done] = deque(maxlen=_LOG_LENGTH)

    @property
    def seed(self) -> int:
        """The seed of rules that name none."""
        return self._seed

    def __iter__(self) -> Iterator[Rule]:
        yield from self._delivery_rules.values()
        yield from self._api_rules.values()

    @property
    def touches_api(self) -> bool:
        """Whether any rule is about API calls."""
        return bool(self._api_rules)

    @property
    def touches_deliveries(self) -> bool:
        """Whether any rule is about deliveries."""
        return bool(self._delivery_rules)

    def of(self, fault: str) -> list[Rule]:
        """The rules about one kind of fault of deliveries."""
        return [rule for rule in self._delivery_rules.values() if rule.plan.fault == fault]

    def arm(self, plan: Plan, id_: str | None = None) -> Rule:
        """Adds a rule, or replaces the one with this id. Rules that are spent are forgotten after a while."""
        rule = Rule(id_ or f"fault_{next(self._numbers)}", plan)
        rules = self._api_rules if plan.for_api else self._delivery_rules
        rules.pop(rule.id, None)
        rules[rule.id] = rule
        spent = [old for old in rules.values() if not old.armed]
        for old in spent[:-_SPENT_RULES_KEPT]:
            del rules[old.id]
        return rule

    def find(self, id_: str) -> Rule | None:
        """The rule with this id."""
        return self._delivery_rules.get(id_) or self._api_rules.get(id_)

    def disarm(self, id_: str | None = None) -> int:
        """Takes back one rule, or all of them; returns how many there were. Calls that hang go on."""
        gone = [rule for rule in self if id_ in (None, rule.id)]
        for rule in gone:
            rule.left = 0
            rule.released.set()
            self._delivery_rules.pop(rule.id, None)
            self._api_rules.pop(rule.id, None)
        return len(gone)

    def set_quick(self, fault: str, times: int | None, **options: Any) -> None:
        """Arms or, with `times` 0, takes back the one rule of a fault that is set with one word."""
        if times == 0:
            self.disarm(fault)
        else:
            self.arm(Plan(fault, times=times, seed=self._seed, options=options), fault)

    def quick(self, fault: str) -> int:
        """How many hits such a rule has left; -1 when it has no end."""
        rule = self._delivery_rules.get(fault)
        if rule is None:
            return 0
        return -1 if rule.left is None else rule.left

    def on_delivery(self, fault: str, event: str, webhook_id: str, what: str, at: datetime) -> Rule | None:
        """The first rule of this fault that hits a delivery; None when it is spared."""
        for rule in self._delivery_rules.values():
            if rule.plan.fault == fault and rule.matches(event, webhook_id) and rule.draw():
                self.note(rule, what, at)
                return rule
        return None

    def on_call(self, name: str, at: datetime, *, continued: bool) -> tuple[Rule | None, list[Rule]]:
        """The first rule that hits an API call, named like `POST /payments`, and rules that only want to look on.

        A shifting list cannot be hit on its first page, so it looks at that one; `continued` says that it is a later.
        """
        watching = []
        for rule in self._api_rules.values():
            if not rule.matches(name):
                continue
            if rule.plan.fault == "shifting_list":
                watching.append(rule)
                if not continued:
                    continue
            if rule.draw():
                self.note(rule, name, at)
                return rule, watching
        return None, watching

    def note(self, rule: Rule, what: str, at: datetime) -> None:
        """Writes down what was done."""
        self.log.append(Done(at, rule.id, rule.plan.fault, what))


def compile_match(match: str, *, for_api: bool) -> re.Pattern[str]:
    """The pattern of a `match`. Raises ValueError for one that can never match."""
    text = match.strip()
    if for_api and text != "*":
        method, _, path = text.rpartition(" ")
        method = method.strip() or "*"
        if not path.startswith("/") or not re.fullmatch(r"\*|[A-Z]+", method):
            raise ValueError("a method and a path are wanted, such as `POST /payments` or `* /memberships/**`")
        text = f"{method} {path}"
    elif text == "*":
        text = "**"
    pieces = re.split(r"(\*\*|\*)", text)
    wild = {"*": "[^/]*", "**": ".*"}
    return re.compile("".join(wild.get(piece) or re.escape(piece) for piece in pieces), re.DOTALL)
