"""What a customer can do with their subscription: the "Manage your subscription" part of the billing page.

Each feature adds what it offers by one provider, an async function that looks at the situation and returns what there
is to offer now, in the order of the page, or nothing::

    async def offers(situation: Situation) -> Sequence[Offer]:
        row = situation.standing.subscription
        if row is None or row.status not in CANCELLABLE:
            return ()
        return (Action("Cancel subscription", "/billing/cancel", note="You keep access until the end of the period."),)

and by one line in `MANAGE` of `quntedge.web.routes`, whose order is the order on the page. An `Action` is a line with
a link, or with a button that posts (`method="post"`: the form token is added). What needs more than a line is a
`Panel`: a template of its own (`_manage_cancel.html`, …), included above the lines with its data as `panel`.

Providers share the page's unit of work: they read, in few queries, and never call the gateway.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from fastapi import FastAPI, Request

from quntedge.edge.services import Services
from quntedge.edge.standing import Standing
from quntedge.storage.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Situation:
    """Who is looking, and where they stand. `unit` is the page's own."""

    services: Services
    unit: UnitOfWork
    user_id: str
    standing: Standing


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that can be done. `note` says in a sentence what it does; `fields` are the hidden ones of a form."""

    label: str
    href: str
    style: Literal["primary", "outline", "ghost", "danger", "danger-ghost"] = "outline"
    method: Literal["get", "post"] = "get"
    note: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Panel:
    """Something that needs more room than a line: a template, which finds `data` under the name `panel`."""

    template: str
    data: Mapping[str, Any] = field(default_factory=dict)


Offer = Action | Panel
Provider = Callable[[Situation], Awaitable[Sequence[Offer]]]


def install(app: FastAPI, providers: Sequence[Provider]) -> None:
    """Gives the application its providers, in the order of the page."""
    app.state.offers = tuple(providers)


async def offers_of(request: Request, situation: Situation) -> list[Offer]:
    """Everything there is to offer, one provider after the other: they share one connection."""
    providers: Iterable[Provider] = request.app.state.offers
    return [offer for provider in providers for offer in await provider(situation)]


def for_page(offers: Sequence[Offer]) -> dict[str, Any]:
    """What the billing template needs of them."""
    return {
        "panels": [offer for offer in offers if isinstance(offer, Panel)],
        "actions": [offer for offer in offers if isinstance(offer, Action)],
    }
