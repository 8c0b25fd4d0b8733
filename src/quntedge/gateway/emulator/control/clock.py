"""The clock's part of `/_control`: following it, moving it, and watching it move."""

import asyncio
import calendar
from collections.abc import Callable
from datetime import datetime, timedelta

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.calls.requests import Fields, answer, runtime_of
from quntedge.gateway.emulator.clockwork.followers import Report
from quntedge.gateway.emulator.clockwork.runs import Run
from quntedge.gateway.emulator.runtime import Runtime
from quntedge.gateway.emulator.wire.errors import bad_request, not_found
from quntedge.gateway.emulator.wire.values import JsonObject, iso

LONGEST_JUMP = timedelta(days=366 * 20)
LAST_YEAR = 2300
_LONGEST_WAIT_SECONDS = 60.0
_LONGEST_NAME = 100
_LARGEST_NUMBER = 10**15
_UNITS: dict[str, Callable[[float], timedelta]] = {
    "days": lambda n: timedelta(days=n),
    "hours": lambda n: timedelta(hours=n),
    "minutes": lambda n: timedelta(minutes=n),
    "seconds": lambda n: timedelta(seconds=n),
}


async def read_clock(request: Request) -> Response:
    """Long poll: answers at once when `version` is not the clock's, else when it changes or after `wait` seconds.

    A `follower` is waited for when the clock moves. One that `works` is also told of each `step`.
    """
    followers, query = runtime_of(request).followers, request.query_params
    version, step, wait = (_whole(query, name) for name in ("version", "step", "wait"))
    name = query.get("follower", "")[:_LONGEST_NAME] or None
    poll = None if name is None else await followers.note(name, version or 0, works=query.get("works") == "1")
    longest = min(float(wait or 0), _LONGEST_WAIT_SECONDS)
    waiting = asyncio.create_task(followers.news(name, version, step, longest))
    answered = await _first(waiting, request)
    if name is not None and poll is not None:
        followers.answered(name)
        if not answered:
            await followers.forget(name, poll)
    return answer(_clock(runtime_of(request)))


async def _first(waiting: "asyncio.Task[None]", request: Request) -> bool:
    """Whether the wait ended before the caller hung up; cancels it otherwise."""
    hung_up = asyncio.create_task(_hung_up(request))
    try:
        await asyncio.wait({waiting, hung_up}, return_when=asyncio.FIRST_COMPLETED)
        return waiting.done()
    finally:
        for task in (waiting, hung_up):
            task.cancel()
        await asyncio.gather(waiting, hung_up, return_exceptions=True)


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _clock(runtime: Runtime) -> JsonObject:
    clock = runtime.world.clock
    return {
        "now": iso(clock.now()),
        "offset_seconds": clock.offset.total_seconds(),
        "version": clock.version,
        "step": runtime.followers.step,
        "traveling": runtime.followers.traveling,
    }


def _whole(query: QueryParams, name: str) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise bad_request("`version`, `step`, `seen` and `wait` must be whole numbers.")
    return int(text)


async def report(request: Request) -> Response:
    """What a working follower says: everything due at this `step` is done, and when it has something to do next.

    Or, with `works` false, that it works no more.
    """
    runtime, fields = runtime_of(request), await Fields.of(request)
    name = fields.needed_text("follower", longest=_LONGEST_NAME)
    version, step = fields.integer("version", 0, _LARGEST_NUMBER), fields.integer("step", 0, _LARGEST_NUMBER)
    works, next_due = fields.flag("works"), fields.time("next_due")
    fields.done()
    await runtime.followers.report(name, Report(version or 0, step or 0, works is not False, next_due))
    return answer(_clock(runtime))


async def advance(request: Request) -> Response:
    """Moves the clock forward: one of days, hours, minutes, seconds, months, or `to`.

    Answers when that is done; with `wait` false at once, with a run that can be watched and stopped.
    """
    runtime, fields = runtime_of(request), await Fields.of(request)
    now = runtime.world.now()
    wait = fields.flag("wait")
    target = _target(fields, now)
    fields.done()
    run = runtime.runs.open(now, target)
    if wait is False:
        runtime.runs.perform(run, lambda run: runtime.timeline.advance(target, run))
        return answer(run.body(), 202)
    reached = await runtime.timeline.advance(target, run)
    return answer({"now": iso(reached.now), "events": reached.events, "deliveries": reached.deliveries})


async def watch(request: Request) -> Response:
    """Long poll of a run: answers at once when `seen` is not its `changes`, else when it moves on or ends."""
    run, query = _run(request), request.query_params
    seen, wait = _whole(query, "seen"), _whole(query, "wait")
    await run.watch(seen, min(float(wait or 0), _LONGEST_WAIT_SECONDS))
    return answer(run.body())


async def cancel(request: Request) -> Response:
    """Stops a run at the instant it has reached; what happens at that instant is finished. Answers once it stands."""
    runtime, run = runtime_of(request), _run(request)
    run.cancel()
    await runtime.followers.nudge()
    await run.ended()
    return answer(run.body())


def _run(request: Request) -> Run:
    run = runtime_of(request).runs.find(request.path_params["run"])
    if run is None:
        raise not_found("Run")
    return run


def _target(fields: Fields, now: datetime) -> datetime:
    given = [name for name in (*_UNITS, "months", "to") if fields.has(name)]
    if len(given) != 1:
        raise bad_request("Give exactly one of days, hours, minutes, seconds, months, to.")
    name = given[0]
    if name == "to":
        target = fields.time("to")
        if target is None or not now <= target <= now + LONGEST_JUMP:
            raise bad_request("`to` must lie in the future, by at most twenty years.")
        return target
    number = fields.decimal(name)
    if now.year > LAST_YEAR:
        raise bad_request("The clock has reached the end of its range. Reset the emulator's data.")
    if number is None or not 0 <= number <= LONGEST_JUMP.total_seconds():
        raise bad_request(f"`{name}` must be a number that is not negative.")
    if name == "months":
        if number != int(number) or number > 240:
            raise bad_request("`months` must be a whole number up to 240.")
        return add_months(now, int(number))
    try:
        step = _UNITS[name](float(number))
    except OverflowError as error:
        raise bad_request(f"`{name}` is too large.") from error
    if step > LONGEST_JUMP:
        raise bad_request(f"`{name}` is more than twenty years.")
    return now + step


def add_months(at: datetime, months: int) -> datetime:
    """The same day of a later month, or that month's last day."""
    year, month = divmod(at.year * 12 + at.month - 1 + months, 12)
    day = min(at.day, calendar.monthrange(year, month + 1)[1])
    return at.replace(year=year, month=month + 1, day=day)


ROUTES = [
    Route("/clock", read_clock),
    Route("/clock/report", report, methods=["POST"]),
    Route("/clock/advance", advance, methods=["POST"]),
    Route("/clock/advance/{run}", watch),
    Route("/clock/advance/{run}", cancel, methods=["DELETE"]),
]
