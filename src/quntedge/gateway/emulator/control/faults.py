"""Control of what goes wrong, of the rate limit, and of floods: `/_control/faults`, `/limits`, `/flood`."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.calls.requests import Fields, answer, runtime_of
from quntedge.gateway.emulator.delivery import flooding
from quntedge.gateway.emulator.faults.garbage import KINDS
from quntedge.gateway.emulator.faults.rules import API_FAULTS, DELIVERY_FAULTS, Faults, Plan, Rule, compile_match
from quntedge.gateway.emulator.state.records import Endpoint
from quntedge.gateway.emulator.wire.errors import bad_request, not_found
from quntedge.gateway.emulator.wire.values import JsonObject, iso

MOST = 10**6
LONGEST_DELAY_MS = 600_000
LONGEST_DELAY_SECONDS = 30 * 86_400
_DELAYS = ("slow", "hang_before", "hang_after", "shifting_list")


async def show_faults(request: Request) -> Response:
    """GET /_control/faults: what is armed, and what was done, newest first."""
    faults = runtime_of(request).dispatcher.faults
    done = [
        {"at": iso(one.at), "rule": one.rule_id, "fault": one.fault, "what": one.what} for one in reversed(faults.log)
    ]
    return answer({"rules": [_shown(rule) for rule in faults], "done": done, **_quick(faults)})


async def set_faults(request: Request) -> Response:
    """POST /_control/faults: one rule (`fault`, …), several (`rules`), or the short forms for deliveries."""
    faults, fields = runtime_of(request).dispatcher.faults, await Fields.of(request)
    if fields.has("fault"):
        rule = faults.arm(_read(request, fields, faults.seed))
        return answer(_shown(rule), 201)
    if fields.has("rules"):
        several = fields.objects("rules") or []
        fields.done()
        plans = [_read(request, one, faults.seed) for one in several]  # all of them are read before one is armed
        return answer({"rules": [_shown(faults.arm(plan)) for plan in plans]}, 201)
    duplicate, drop = fields.integer("duplicate", 0, MOST), fields.integer("drop_next", 0, MOST)
    delay_ms, reorder = fields.integer("delay_ms", 0, LONGEST_DELAY_MS), fields.flag("reorder")
    fields.done()
    for fault, times in (("duplicate", duplicate), ("drop", drop)):
        if times is not None:
            faults.set_quick(fault, times)
    if reorder is not None:
        faults.set_quick("reorder", None if reorder else 0)
    if delay_ms is not None:
        faults.set_quick("delay", None if delay_ms else 0, delay_ms=delay_ms)
    return answer(_quick(faults))


async def disarm_faults(request: Request) -> Response:
    """DELETE /_control/faults: takes everything back. Calls that hang go on."""
    return answer({"disarmed": runtime_of(request).dispatcher.faults.disarm()})


async def disarm_fault(request: Request) -> Response:
    """DELETE /_control/faults/{id}."""
    faults, rule_id = runtime_of(request).dispatcher.faults, request.path_params["id"]
    if faults.find(rule_id) is None:
        raise not_found("Fault")
    return answer({"disarmed": faults.disarm(rule_id)})


def _quick(faults: Faults) -> JsonObject:
    delay = faults.find("delay")
    return {
        "duplicate": faults.quick("duplicate"),
        "drop_next": faults.quick("drop"),
        "delay_ms": 0 if delay is None else delay.plan.options["delay_ms"],
        "reorder": bool(faults.quick("reorder")),
    }


def _shown(rule: Rule) -> JsonObject:
    plan = rule.plan
    return {
        "id": rule.id,
        "on": "api" if plan.for_api else "deliveries",
        "fault": plan.fault,
        "match": plan.match,
        "webhook_id": plan.webhook_id,
        "times": plan.times,
        "times_left": rule.left,
        "probability": plan.probability,
        "skip": plan.skip,
        "seed": plan.seed,
        "armed": rule.armed,
        "seen": rule.seen,
        "done": rule.done,
        "hanging": rule.hanging,
        **plan.options,
    }


def _read(request: Request, fields: Fields, default_seed: int) -> Plan:
    fault = fields.needed_text("fault")
    if fault not in (*API_FAULTS, *DELIVERY_FAULTS):
        raise bad_request(f"`fault` must be one of {', '.join((*API_FAULTS, *DELIVERY_FAULTS))}.")
    match = fields.text("match", longest=200) or "*"
    try:
        compile_match(match, for_api=fault in API_FAULTS)
    except ValueError as error:
        raise bad_request(f"`match`: {error}.") from error
    webhook_id = None
    if fault in DELIVERY_FAULTS and (webhook_id := fields.text("webhook_id")) is not None:
        _endpoint(request, webhook_id)
    probability = fields.decimal("probability")
    if probability is not None and not 0 < probability <= 1:
        raise bad_request("`probability` must be more than 0 and at most 1.")
    seed = fields.integer("seed", -MOST, MOST)
    plan = Plan(
        fault,
        match,
        times=fields.integer("times", 1, MOST),
        probability=1.0 if probability is None else float(probability),
        skip=fields.integer("skip", 0, MOST) or 0,
        seed=default_seed if seed is None else seed,
        webhook_id=webhook_id,
        options={name: value for name, value in _options(fault, fields).items() if value is not None},
    )
    fields.done()
    return plan


def _options(fault: str, fields: Fields) -> dict[str, Any]:
    """What a fault wants to know besides; any other member is refused as unknown."""
    if fault in _DELAYS:
        return {"delay_ms": fields.integer("delay_ms", 1, LONGEST_DELAY_MS)}
    match fault:
        case "duplicate":
            return {"copies": fields.integer("copies", 1, 100)}
        case "delay":
            seconds = fields.integer("seconds", 1, LONGEST_DELAY_SECONDS)
            delay_ms = fields.integer("delay_ms", 1, LONGEST_DELAY_MS)
            jitter_ms = fields.integer("jitter_ms", 1, LONGEST_DELAY_MS)
            if (seconds is None) is (delay_ms is None and jitter_ms is None):
                raise bad_request("Give `seconds` (of the emulator's clock), or `delay_ms` and `jitter_ms` (real).")
            return {"seconds": seconds, "delay_ms": delay_ms, "jitter_ms": jitter_ms}
        case "stale_timestamp":
            return {"seconds": fields.integer("seconds", 1, LONGEST_DELAY_SECONDS)}
        case "error_before":
            return {"status": fields.integer("status", 500, 599)}
        case "error_after":
            outcome = fields.choice("outcome", ("kept", "unknown"), "kept")
            return {"status": fields.integer("status", 500, 599), "outcome": outcome}
        case "rate_limit":
            return {"retry_after": fields.integer("retry_after", 0, 3600)}
        case "garbage":
            return {"kind": fields.choice("kind", KINDS, "") or None}
        case _:
            return {}


def _endpoint(request: Request, webhook_id: str) -> Endpoint:
    endpoint = runtime_of(request).world.store.tables.endpoints.get(webhook_id)
    if endpoint is None:
        raise not_found("Webhook")
    return endpoint


async def show_limits(request: Request) -> Response:
    """GET /_control/limits."""
    return answer({"requests_per_minute": runtime_of(request).limiter.per_minute})


async def set_limits(request: Request) -> Response:
    """POST /_control/limits: `requests_per_minute` per operation and credential (Whop: 600); 0 is no limit."""
    limiter, fields = runtime_of(request).limiter, await Fields.of(request)
    per_minute = fields.integer("requests_per_minute", 0, MOST)
    fields.done()
    if per_minute is None:
        raise bad_request("`requests_per_minute` is required.")
    limiter.set(per_minute)
    return answer({"requests_per_minute": limiter.per_minute})


async def flood(request: Request) -> Response:
    """POST /_control/flood: `count` signed messages to one endpoint, as fast as it takes them."""
    runtime, fields = runtime_of(request), await Fields.of(request)
    endpoints = list(runtime.world.store.tables.endpoints.values())
    webhook_id = fields.text("webhook_id")
    if webhook_id is None and len(endpoints) != 1:
        raise bad_request("`webhook_id` is required unless there is exactly one webhook.")
    endpoint = endpoints[0] if webhook_id is None else _endpoint(request, webhook_id)
    count = fields.integer("count", 1, MOST)
    concurrency = fields.integer("concurrency", 1, 1000)
    events = fields.texts("events")
    fields.done()
    unknown = [event for event in events or () if event not in flooding.EVENTS]
    if unknown or events == []:
        raise bad_request(f"`events` may name {', '.join(flooding.EVENTS)}.")
    order = flooding.Order(count or 1000, concurrency or 64, tuple(events or flooding.EVENTS))
    result = await flooding.flood(runtime.world, endpoint, order)
    return answer(
        {
            "sent": result.sent,
            "accepted": result.accepted,
            "refused": result.refused,
            "unanswered": result.unanswered,
            "seconds": round(result.seconds, 3),
            "per_second": round(result.sent / result.seconds) if result.seconds else 0,
        }
    )


ROUTES = [
    Route("/faults", show_faults),
    Route("/faults", set_faults, methods=["POST"]),
    Route("/faults", disarm_faults, methods=["DELETE"]),
    Route("/faults/{id}", disarm_fault, methods=["DELETE"]),
    Route("/limits", show_limits),
    Route("/limits", set_limits, methods=["POST"]),
    Route("/flood", flood, methods=["POST"]),
]
