"""The console's buttons. Each is one call of the API or the control API; what that says is shown on the next page."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.calls.requests import world_of
from quntedge.gateway.emulator.console.frame import Console, console_of
from quntedge.gateway.emulator.console.inner import Answered, ask
from quntedge.gateway.emulator.hosted import pages
from quntedge.gateway.emulator.wire.errors import ApiFault, bad_request

Form = dict[str, str]


@dataclass(frozen=True, slots=True)
class Button:
    """What a button asks for, and what is said once it was done."""

    to: Literal["api", "control"]
    path: Callable[[Form], str]
    body: Callable[[Form], dict[str, Any]]
    done: Callable[[Any], str]
    method: str = "POST"


_STEPS: dict[str, dict[str, int]] = {
    "hour": {"hours": 1},
    "day": {"days": 1},
    "week": {"days": 7},
    "month": {"months": 1},
}


def _step(form: Form) -> dict[str, Any]:
    step = _STEPS.get(form.get("step", ""))
    if step is None:
        raise bad_request("`step` must be hour, day, week or month.")
    return dict(step)


def _id(form: Form, name: str) -> str:
    return quote(form.get(name, "") or "-", safe="")


def _forced(form: Form) -> dict[str, Any]:
    return {"force": "force" in form}


def _moved(said: Any) -> str:
    day = str(said["now"])[:19].replace("T", " ")
    return f"It is {day} now: {said['events']} things happened, {said['deliveries']} deliveries were attempted."


def _fault(form: Form) -> dict[str, Any]:
    fault, times = form.get("fault", ""), form.get("times", "").strip()
    body: dict[str, Any] = {"fault": fault, "match": form.get("match", "").strip() or "*"}
    if times:
        body["times"] = _whole(times, "times")
    if fault == "delay":
        body["seconds"] = _whole(form.get("seconds", "").strip() or "60", "seconds")
    return body


def _whole(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise bad_request(f"`{name}` must be a whole number.")
    return int(text)


def _decline(form: Form) -> dict[str, Any]:
    return {"times": _whole(form.get("times", "1"), "times"), "decline_code": form.get("decline_code") or None}


def _declined(said: Any) -> str:
    count = said["declines_ahead"]
    return f"The next {count} charge(s) will be declined." if count else "The next charge goes through again."


def _replay_path(form: Form) -> str:
    return f"/webhooks/{_id(form, 'endpoint_id')}/deliveries/{_id(form, 'delivery_id')}/replay"


BUTTONS: dict[str, Button] = {
    "advance": Button("control", lambda _: "/clock/advance", _step, _moved),
    "decline": Button(
        "control", lambda form: f"/memberships/{_id(form, 'membership_id')}/decline_next", _decline, _declined
    ),
    "cancel": Button(
        "api",
        lambda form: f"/memberships/{_id(form, 'membership_id')}/cancel",
        lambda form: {"cancel_at_period_end": "now" not in form},
        lambda said: (
            f"The membership is {said['status']}" + (" until its period ends." if said["cancel_at_period_end"] else ".")
        ),
    ),
    "refund": Button(
        "api",
        lambda form: f"/payments/{_id(form, 'payment_id')}/refund",
        lambda _: {},
        lambda _: "The refund is on its way.",
    ),
    "dispute": Button(
        "control",
        lambda form: f"/payments/{_id(form, 'payment_id')}/dispute",
        lambda form: {"reason": form.get("reason") or "fraudulent"},
        lambda said: f"The buyer's bank opened the dispute {said['id']}.",
    ),
    "decide": Button(
        "control",
        lambda form: f"/disputes/{_id(form, 'dispute_id')}",
        lambda form: {"status": form.get("status", "")},
        lambda said: f"The dispute is {said['status'].replace('_', ' ')} now.",
    ),
    "alert": Button(
        "control",
        lambda form: f"/payments/{_id(form, 'payment_id')}/alert",
        lambda _: {},
        lambda said: f"The dispute alert {said['id']} was raised.",
    ),
    "fail_refund": Button(
        "control",
        lambda form: f"/payments/{_id(form, 'payment_id')}/next_refund",
        lambda _: {"status": "failed"},
        lambda _: "The next refund of this payment will fail.",
    ),
    "end_refund": Button(
        "control",
        lambda form: f"/refunds/{_id(form, 'refund_id')}",
        lambda form: {"status": form.get("status", "")},
        lambda said: f"The refund is {said['status'].replace('_', ' ')} now.",
    ),
    "end_trial": Button(
        "control",
        lambda form: f"/memberships/{_id(form, 'membership_id')}/end_trial",
        lambda _: {},
        lambda said: f"The trial is over: the membership is {said['status'].replace('_', ' ')}.",
    ),
    "card": Button(
        "control",
        lambda form: f"/payment_methods/{_id(form, 'method_id')}",
        lambda form: {"behaviour": form.get("behaviour", "")},
        lambda said: f"The card {said['behaviour'].replace('_', ' ')} from now on.",
    ),
    "invoice": Button(
        "control",
        lambda form: f"/invoices/{_id(form, 'invoice_id')}",
        lambda form: {"status": form.get("status", "")},
        lambda said: f"The invoice is {said['status'].replace('_', ' ')} now.",
    ),
    "test": Button(
        "api",
        lambda form: f"/webhooks/{_id(form, 'endpoint_id')}/test",
        lambda form: {"event": form.get("event", "")},
        lambda said: f"The endpoint answered {said['status'] or 'nothing'} to the sample.",
    ),
    "replay": Button("api", _replay_path, lambda _: {}, lambda _: "The message was sent once more."),
    "drop": Button(
        "control",
        lambda _: "/faults",
        lambda _: {"fault": "drop", "times": 1},
        lambda _: "The next webhook will be lost.",
    ),
    "duplicate": Button(
        "control",
        lambda _: "/faults",
        lambda _: {"fault": "duplicate", "times": 1},
        lambda _: "The next webhook will be sent twice.",
    ),
    "arm": Button("control", lambda _: "/faults", _fault, lambda said: f"Armed: {said['fault']} on {said['match']}."),
    "disarm": Button(
        "control",
        lambda form: f"/faults/{_id(form, 'id')}" if form.get("id") else "/faults",
        lambda _: {},
        lambda said: f"{said['disarmed']} fault(s) disarmed.",
        method="DELETE",
    ),
    "snapshot": Button(
        "control",
        lambda _: "/snapshots",
        lambda form: {"name": form.get("name", "").strip()},
        lambda said: f"Snapshot “{said['name']}” taken.",
    ),
    "restore": Button(
        "control",
        lambda form: f"/snapshots/{_id(form, 'name')}/restore",
        _forced,
        lambda said: f"Restored; it is {said['now'][:19].replace('T', ' ')} again.",
    ),
    "forget": Button(
        "control",
        lambda form: f"/{'branches' if form.get('role') == 'branch' else 'snapshots'}/{_id(form, 'name')}",
        lambda _: {},
        lambda said: f"“{said['name']}” deleted.",
        method="DELETE",
    ),
    "branch": Button(
        "control",
        lambda _: "/branches",
        lambda form: {
            "name": form.get("name", "").strip(),
            "snapshot": form.get("snapshot") or None,
            **_forced(form),
        },
        lambda said: f"On the branch “{said['branch']}” now.",
    ),
    "switch": Button(
        "control",
        lambda form: f"/branches/{_id(form, 'name')}/switch",
        _forced,
        lambda said: f"On the branch “{said['branch']}” now.",
    ),
}


_SAMPLE_PLANS: tuple[dict[str, Any], ...] = (
    {"title": "Monthly", "plan_type": "renewal", "billing_period": 30, "initial_price": 0, "renewal_price": 29},
    {
        "title": "Yearly with a trial",
        "plan_type": "renewal",
        "billing_period": 365,
        "initial_price": 0,
        "renewal_price": 290,
        "trial_period_days": 14,
    },
    {"title": "For life", "plan_type": "one_time", "initial_price": 499},
)


async def make_sample(request: Request) -> Response:
    """A product with three plans, for those who want to look around before they write a program."""
    console, account_id = console_of(request), world_of(request).config.account_id
    product = await ask(console.api, "POST", "/products", {"title": "Sample product", "account_id": account_id})
    answers = [product]
    for plan in _SAMPLE_PLANS if product.ok else ():
        body = {**plan, "currency": "usd", "account_id": account_id, "product_id": product.body["id"]}
        answers.append(await ask(console.api, "POST", "/plans", body))
    failed = next((answered for answered in answers if not answered.ok), None)
    text = _problem(failed) if failed else "Three plans are for sale now. Open the checkout page of one and buy it."
    return pages.redirect(f"/console/plans?note={console.note(text, 'bad' if failed else 'good')}")


async def press(request: Request) -> Response:
    """Does what a button says and returns to the page it stands on."""
    button, form = BUTTONS.get(request.path_params["button"]), await pages.form_of(request)
    if button is None:
        raise bad_request("There is no such button.")
    console = console_of(request)
    try:
        answered = await _ask(console, button, form)
        text, tone = (button.done(answered.body), "good") if answered.ok else (_problem(answered), "bad")
    except ApiFault as fault:  # what was typed cannot even be asked for
        text, tone = fault.message, "bad"
    back = _back(form.get("back", "/"))
    return pages.redirect(f"{back}{'&' if '?' in back else '?'}note={console.note(text, tone)}")


async def _ask(console: Console, button: Button, form: Form) -> Answered:
    app = console.api if button.to == "api" else console.controls
    body = button.body(form) if button.method == "POST" else None
    return await ask(app, button.method, button.path(form), body)


def _problem(answered: Answered) -> str:
    return answered.message or f"That did not work (HTTP {answered.status})."


def _back(path: str) -> str:
    """A page of our own, and nothing else."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() else "/"


ROUTES = [
    Route("/console/sample", make_sample, methods=["POST"]),
    Route("/console/{button}", press, methods=["POST"]),
]
