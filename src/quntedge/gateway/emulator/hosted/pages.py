"""What the emulator's pages have in common: templates, strict headers, reading of forms."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from quntedge.gateway.emulator.calls.requests import MAX_BODY_BYTES
from quntedge.gateway.emulator.state.records import Plan
from quntedge.gateway.emulator.wire.errors import bad_request

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parents[1] / "templates"), autoescape=True, undefined=StrictUndefined
)
# No form-action: Chromium applies it to the redirect after a form as well, and buyers are redirected to the seller.
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none';"
    " frame-ancestors 'self'",
    "cache-control": "no-store",
    # Not "no-referrer": that makes browsers send `Origin: null` with forms, and the control forms look at it.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}


def page(template: str, values: Mapping[str, object], status: int = 200) -> Response:
    """Renders a template with headers that allow no script and nothing foreign."""
    return HTMLResponse(_TEMPLATES.get_template(template).render(values), status, headers=_HEADERS)


def notice(title: str, text: str, status: int = 200) -> Response:
    """A page with one message."""
    return page("notice.html", {"title": title, "text": text}, status)


def redirect(url: str) -> Response:
    """Leads the browser on with a GET."""
    return RedirectResponse(url, 303)


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a posted form; 400 when it is unreadable."""
    raw = await request.body()
    if len(raw) > MAX_BODY_BYTES:
        raise bad_request("The form is too large.")
    try:
        return dict(parse_qsl(raw.decode("utf-8"), keep_blank_values=True, max_num_fields=50))
    except ValueError as error:
        raise bad_request("The form cannot be read.") from error


def price_lines(plan: Plan, *, trial: bool) -> tuple[str, str]:
    """What is due today and what follows, for people."""
    if not plan.recurring:
        return plan.initial_price.format(), "One payment, no renewal."
    every = f"{plan.renewal_price.format()} every {_days(plan.billing_period)}"
    if trial:
        return plan.initial_price.format(), f"{_days(plan.trial_period_days)} free, then {every}."
    return (plan.initial_price + plan.renewal_price).format(), f"Then {every}."


def _days(days: int | None) -> str:
    return f"{days} day" if days == 1 else f"{days} days"
