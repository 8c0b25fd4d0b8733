"""The webhook inbox: what is in trouble, what was in a delivery, and applying deliveries again."""

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer

from quntedge.commands.errors import Explained
from quntedge.commands.output import CommandError, aside, complain, moment, out, print_json, table
from quntedge.commands.output import show as show_table
from quntedge.commands.running import opened, run
from quntedge.commands.times import parse_since
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.webhooks import replay as inbox
from quntedge.webhooks.endpoint import EndpointState
from quntedge.webhooks.models import STATES, WebhookEvent
from quntedge.webhooks.replay import REPLAYABLE, Filter
from quntedge.wiring import Runtime

MOST_AT_ONCE = 10_000

app = typer.Typer(cls=Explained, no_args_is_help=True, help="The webhook inbox: look, and apply again.")

State = Annotated[list[str] | None, typer.Option("--state", help=f"One of {', '.join(STATES)}; may be repeated.")]
Outcome = Annotated[str | None, typer.Option(help="Only events with this outcome, as `causes` names it.")]
EventType = Annotated[str | None, typer.Option("--type", help="Only events of this type, such as payment.succeeded.")]
Since = Annotated[str | None, typer.Option(help="Only events received since: 2026-09-01, 30m, 12h, 7d.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@app.command()
def causes(as_json: Json = False) -> None:
    """Group the events in trouble by cause, the most frequent first."""
    run(_causes(as_json))


@app.command("list")
def list_(
    state: State = None,
    outcome: Outcome = None,
    type_: EventType = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    as_json: Json = False,
) -> None:
    """List events, the newest first; of all states unless --state is given."""
    run(_list(state, outcome, type_, since, limit, as_json=as_json))


@app.command()
def show(
    event_id: Annotated[str, typer.Argument(help="Id of the event, whe_… as `list` shows it.")],
    body: Annotated[bool, typer.Option("--body", help="Print the payload too. It holds personal data.")] = False,
) -> None:
    """Show one event."""
    run(_show(event_id, body))


@app.command()
def replay(
    event_id: Annotated[str | None, typer.Argument(help="One event; without it, those the options name.")] = None,
    state: State = None,
    outcome: Outcome = None,
    type_: EventType = None,
    since: Since = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Apply one event, or all that match, again. It never does anything twice."""
    if event_id is not None:
        if state or outcome or type_ or since:
            raise typer.BadParameter("give either an event or options that choose several, not both.")
        run(_replay_one(event_id))
        return
    if not state:
        raise typer.BadParameter(f"give an event, or --state with one of {', '.join(REPLAYABLE)}.")
    run(_replay_many(state, outcome, type_, since, yes))


@app.command()
def endpoint(as_json: Json = False) -> None:
    """Ask Whop how its deliveries to us go. Exit code 1 when something is wrong."""
    run(_endpoint(as_json))


async def _endpoint(as_json: bool) -> None:
    async with opened() as runtime:
        health = await runtime.endpoint.look()
    facts = health.endpoint
    rows = {
        "address": health.url,
        "state": health.state.value,
        "endpoint": facts and facts.endpoint_id,
        "failures": facts and str(facts.consecutive_failures),
        "failing since": facts and moment(facts.failing_since),
        "disabled for": facts and facts.disabled_reason,
    }
    if as_json:
        print_json({name.replace(" ", "_"): value for name, value in rows.items()} | {"advice": health.advice})
    else:
        for name, value in rows.items():
            if value:
                out().print(f"{name:<13} {value}")
        out().print(health.advice)
    if health.state is not EndpointState.WELL:
        raise typer.Exit(1)


async def _causes(as_json: bool) -> None:
    async with opened() as runtime, runtime.units() as unit:
        found = await inbox.causes(unit)
    if as_json:
        print_json([asdict(cause) for cause in found])
        return
    if not found:
        out().print("No event is dead or quarantined.")
        return
    shown = table("Events", "State", "Outcome", "Type", "First", "Last")
    for cause in found:
        shown.add_row(
            str(cause.count), cause.state, cause.outcome or "–", cause.event_type, moment(cause.oldest),
            moment(cause.newest),
        )  # fmt: skip
    show_table(shown)


async def _list(
    states: list[str] | None, outcome: str | None, type_: str | None, since: str | None, limit: int, *, as_json: bool
) -> None:
    async with opened() as runtime, runtime.units() as unit:
        which = _filter(unit, states or list(STATES), outcome, type_, since, known=STATES)
        found = await inbox.find(unit, which, limit=limit)
    if as_json:
        print_json([_facts(event) for event in found])
        return
    if not found:
        out().print("No event matches.")
        return
    shown = table("Event", "Received (UTC)", "State", "Outcome", "Type", "Attempts")
    for event in found:
        shown.add_row(
            event.id, moment(event.received_at), event.state, event.outcome or "–", event.event_type,
            str(event.attempts),
        )  # fmt: skip
    show_table(shown)


async def _show(event_id: str, body: bool) -> None:
    async with opened() as runtime, runtime.units() as unit:
        found = await inbox.find(unit, Filter(states=STATES, ids=[event_id]), limit=1)
        if not found:
            raise CommandError(f"There is no webhook event {event_id}; `quntedge webhooks list` shows their ids.")
        _print_event(found[0])
        if body:
            await _print_body(runtime, unit, found[0])


def _facts(event: WebhookEvent) -> dict[str, Any]:
    """What is known of an event without its payload."""
    return {
        "id": event.id,
        "webhook_id": event.webhook_id,
        "type": event.event_type,
        "state": event.state,
        "outcome": event.outcome,
        "error": event.error,
        "attempts": event.attempts,
        "occurred_at": event.occurred_at,
        "received_at": event.received_at,
        "processed_at": event.processed_at,
    }


def _print_event(event: WebhookEvent) -> None:
    rows = {
        "event": event.id,
        "webhook-id": event.webhook_id,
        "type": event.event_type,
        "lane": event.ordering_key,
        "state": event.state,
        "outcome": event.outcome,
        "error": event.error,
        "attempts": event.attempts,
        "occurred": moment(event.occurred_at),
        "received": moment(event.received_at),
        "next attempt": moment(event.due_at) if event.processed_at is None else None,
        "processed": moment(event.processed_at),
    }
    for name, value in rows.items():
        if value is not None:
            out().print(f"{name:<13} {value}")


async def _print_body(runtime: Runtime, unit: UnitOfWork, event: WebhookEvent) -> None:
    bodies = await runtime.bodies.read(await unit.connection(), [(event.id, event.received_at)])
    raw = bodies.get(event.id)
    if raw is None:
        raise CommandError("The payload is gone: payloads are deleted 90 days after they arrived.")
    aside("This is personal data: do not paste it into tickets or chats.")
    try:
        text = json.dumps(json.loads(raw), indent=2, ensure_ascii=False)
    except ValueError:
        text = raw.decode("utf-8", "backslashreplace")
    out().print(text)


async def _replay_one(event_id: str) -> None:
    async with opened() as runtime, runtime.units() as unit:
        await inbox.replay_one(unit, event_id)
        await unit.commit()
    out().print(f"{event_id} is in the queue again.")


async def _replay_many(states: list[str], outcome: str | None, type_: str | None, since: str | None, yes: bool) -> None:
    async with opened() as runtime, runtime.units() as unit:
        which = _filter(unit, states, outcome, type_, since, known=REPLAYABLE)
        found = len(await inbox.find(unit, which, limit=MOST_AT_ONCE + 1))
        await unit.rollback()  # the person may think for a while; no transaction waits for them
        if not found:
            out().print("No event matches.")
            return
        number = f"more than {MOST_AT_ONCE:,}" if found > MOST_AT_ONCE else str(found)
        if not yes and not typer.confirm(f"Apply {number} event{'s' if found > 1 else ''} again?"):
            complain("nothing was changed.")
            raise typer.Exit(1)
        count = await inbox.replay(unit, which)
        await unit.commit()
    out().print(f"{count} event{' is' if count == 1 else 's are'} in the queue again.")


def _filter(
    unit: UnitOfWork,
    states: list[str],
    outcome: str | None,
    type_: str | None,
    since: str | None,
    *,
    known: tuple[str, ...],
) -> Filter:
    for state in states:
        if state not in known:
            raise typer.BadParameter(f"{state!r} is not a state to choose here; write one of {', '.join(known)}.")
    received = None if since is None else parse_since(since, unit.clock.now())
    return Filter(states=tuple(states), outcome=outcome, event_type=type_, since=received)


def register(parent: typer.Typer) -> None:
    """Adds these commands."""
    parent.add_typer(app, name="webhooks")
