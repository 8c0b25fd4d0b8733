"""What a key with some permissions only may ask, and which fields it does not get to see.

Named in the SDK's texts and Whop's documentation where they name anything; for the rest the nearest permission of the
published catalogue was chosen. As at Whop, a missing permission to read part of an object does not fail: the field is
null, which is exactly what integrations trip over.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quntedge.gateway.emulator.callers.credentials import Credential, credential_in
from quntedge.gateway.emulator.calls.requests import fault_answer
from quntedge.gateway.emulator.wire.errors import forbidden

Needed = tuple[str, ...]
"""One of these permissions is needed; none at all when it is empty."""

_PUBLIC: Needed = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """What a resource asks for: to read, to write, and for actions by the last part of their path."""

    read: Needed
    write: Needed
    actions: dict[str, Needed] = field(default_factory=dict)
    """By `METHOD action`, e.g. `POST cancel`, or by method alone for the resource itself, e.g. `DELETE`."""


_PLANS = Rule(
    _PUBLIC,
    ("plan:update",),
    {"POST": ("plan:create",), "DELETE": ("plan:delete",), "POST calculate_tax": ("plan:basic:read",)},
)

RULES: dict[str, Rule] = {
    "access_tokens": Rule(_PUBLIC, _PUBLIC),
    "accounts": Rule(("company:basic:read",), ("company:update",), {"PATCH preferences": ("company:manage_checkout",)}),
    "api_keys": Rule(_PUBLIC, ("developer:manage_api_key",)),
    "checkout_configurations": Rule(
        _PUBLIC,
        ("checkout_configuration:create",),
        {"GET": ("checkout_configuration:basic:read",), "DELETE": ("checkout_configuration:delete",)},
    ),
    "dispute_alerts": Rule(("payment:dispute_alert:read",), ("payment:dispute",)),
    "disputes": Rule(("payment:dispute:read",), ("payment:dispute",)),
    "files": Rule(_PUBLIC, _PUBLIC),
    "financial_activity": Rule(("company:balance:read",), ("company:balance:read",)),
    "invoices": Rule(("invoice:basic:read",), ("invoice:update",), {"POST": ("invoice:create",)}),
    "members": Rule(("member:basic:read",), ("member:manage",)),
    "memberships": Rule(
        ("member:basic:read",),
        ("membership:update",),
        {
            "POST cancel": ("membership:cancel",),
            "POST pause": ("member:manage",),
            "POST resume": ("member:manage",),
            "POST extend": ("member:manage",),
            "POST transfer": ("membership:transfer", "membership:update"),
            "POST resync_access": ("membership:resync_access",),
        },
    ),
    "payment_methods": Rule(("member:payment_methods:read",), ("member:payment_methods:manage",)),
    "payment_quotes": Rule(("payment:charge",), ("payment:charge",)),
    "payments": Rule(("payment:basic:read",), ("payment:manage",), {"POST": ("payment:charge",)}),
    "payouts": Rule(("payout:withdrawal:read",), ("payout:withdraw_funds",)),
    "plans": _PLANS,
    "products": Rule(
        ("access_pass:basic:read",),
        ("access_pass:update",),
        {"POST": ("access_pass:create",), "DELETE": ("access_pass:delete",)},
    ),
    "promo_codes": Rule(
        ("promo_code:basic:read",),
        ("promo_code:update",),
        {"POST": ("promo_code:create",), "DELETE": ("promo_code:delete",)},
    ),
    "refunds": Rule(("payment:basic:read",), ("payment:manage",)),
    "setup_intents": Rule(("payment:setup_intent:read",), ("payment:setup_intent:manage",)),
    "users": Rule(_PUBLIC, ("user:profile:update",)),
    "variants": _PLANS,
    "webhooks": Rule(("developer:manage_webhook",), ("developer:manage_webhook",)),
}
"""By the first part of the path. A key with some permissions only can ask nothing that is not named here."""

HIDDEN: dict[str, dict[str, str]] = {
    "pay": {
        "customer_email": "member:email:read",
        "customer_phone": "member:phone:read",
        "member_id": "member:basic:read",
        "membership_id": "member:basic:read",
        "recovery_url": "member:basic:read",
        "needs_tracking": "shipment:basic:read",
        "shipment_id": "shipment:basic:read",
    },
    "mem": {"manage_url": "member:manage", "affiliate": "affiliate:basic:read", "phone_number": "member:phone:read"},
    "mber": {"email": "member:email:read", "phone_number": "member:phone:read"},
    "sint": {"member_id": "member:basic:read"},
    "ch": {"metadata": "checkout_configuration:basic:read"},
    "plan": dict.fromkeys(
        (
            "cancel_discount_intervals",
            "cancel_discount_percentage",
            "deletable",
            "internal_notes",
            "member_count",
            "offer_cancel_discount",
            "stock",
        ),
        "plan:basic:read",
    ),
}
"""By the prefix of an object's id: the fields that are null without a permission."""

_OWN = {"users", "memberships", "members"}
"""What a person who signed in may read; the routes see to it that it is only the person's own."""


def catalogue() -> frozenset[str]:
    """Every permission that is asked for anywhere here."""
    rules = RULES.values()
    lists = [*(rule.read for rule in rules), *(rule.write for rule in rules)]
    lists += [one for rule in rules for one in rule.actions.values()]
    return frozenset(name for names in (*lists, *(fields.values() for fields in HIDDEN.values())) for name in names)


def needed(method: str, path: str) -> Needed | None:
    """The permissions of which a request needs one; None when nobody but the account itself may ask it."""
    parts = [part for part in path.split("/") if part]
    rule = RULES.get(parts[0]) if parts else None
    if rule is None:
        return None
    method = "GET" if method == "HEAD" else method
    if len(parts) > 1:
        action = rule.actions.get(f"{method} {parts[-1]}")
        if action is not None and len(parts) > 2:
            return action
    alone = len(parts) == 1 or (method == "DELETE" and len(parts) == 2)
    if alone and method in rule.actions:
        return rule.actions[method]
    return rule.read if method == "GET" else rule.write


def without_hidden(value: Any, credential: Credential) -> Any:
    """The same JSON with null in the place of what the caller may not see."""
    if isinstance(value, list):
        return [without_hidden(item, credential) for item in value]
    if not isinstance(value, dict):
        return value
    prefix = str(value.get("id", "")).partition("_")[0]
    hidden = HIDDEN.get(prefix, {})
    return {
        name: None if name in hidden and not credential.may(hidden[name]) else without_hidden(item, credential)
        for name, item in value.items()
    }


@dataclass(slots=True)
class Permissions:
    """Pure ASGI. Stands between the gate and the API; the account's own key passes at once."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        credential = credential_in(scope)
        if scope["type"] != "http" or credential.permissions is None:
            await self.app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if not _allowed(credential, scope["method"], path):
            await fault_answer(forbidden("This key does not have the permission to do this."))(scope, receive, send)
            return
        # A person sees all of their own: what is hidden from keys is about other people.
        await self.app(scope, receive, send if credential.user_id is not None else _Hiding(send, credential))


def _allowed(credential: Credential, method: str, path: str) -> bool:
    if credential.user_id is not None:
        return method in ("GET", "HEAD") and path.strip("/").partition("/")[0] in _OWN
    wanted = needed(method, path)
    return wanted is not None and (not wanted or credential.may(*wanted))


@dataclass(slots=True)
class _Hiding:
    """Holds an answer back until it is complete, and passes it on with less in it."""

    send: Send
    credential: Credential
    start: Message = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.start = message
            return
        self.body += message.get("body", b"")
        if message.get("more_body", False):
            return
        body = bytes(self.body)
        if (b"content-type", b"application/json") in self.start["headers"] and body:
            shown = without_hidden(json.loads(body), self.credential)
            body = json.dumps(shown, separators=(",", ":"), ensure_ascii=False).encode()
        headers = [pair for pair in self.start["headers"] if pair[0] != b"content-length"]
        headers.append((b"content-length", str(len(body)).encode()))
        await self.send({**self.start, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})
