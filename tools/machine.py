"""The life of a subscription as Markdown, made from the table that the program acts by."""

from collections.abc import Callable, Iterator

from quntedge.subscriptions import machine
from quntedge.subscriptions.machine import LIVE, STATUSES, TRANSITIONS, Guard, Status, Transition, Trigger
from tools.markdown import code, table


def statuses() -> str:
    """What each status means, and when it gives access."""
    rows = [
        (code(status), facts.meaning, "yes" if facts.live else "no", facts.access.value)
        for status, facts in STATUSES.items()
    ]
    return table(("Status", "Meaning", "Live", "Access to the plan's features"), rows)


def triggers() -> str:
    """Everything that may be said of a subscription, or happen to it."""
    rows = [(code(trigger), machine.MEANINGS[trigger], _leads_to(trigger)) for trigger in Trigger]
    return table(("Trigger", "Meaning", "Status afterwards"), rows)


def _leads_to(trigger: Trigger) -> str:
    target = machine.TARGETS.get(trigger)
    if target is None:
        return "stays as it is"
    always = all(machine.transition(status, trigger).target is target for status in Status)
    return code(target) if always else f"{code(target)} where nothing was known, else as it is"


def transitions() -> str:
    """A table for each status, with an answer to every trigger."""
    parts = []
    for status in (None, *Status):
        heading = "Before there is one" if status is None else code(status)
        rows = [_row(step) for (before, _), step in TRANSITIONS.items() if before is status]
        columns = ("Trigger", "Becomes", "Entry of the history", "Believed", "Brings with it", "Why it stays")
        parts.append(f"### {heading}\n\n{table(columns, rows)}")
    return "\n\n".join(parts)


def _row(step: Transition) -> tuple[str, ...]:
    moved = step.target is not step.status
    return (
        code(step.trigger),
        code(step.target or "") if moved else "",
        code(step.entry or ""),
        step.guard.value or "always",
        "; ".join(sorted(effect.value for effect in step.effects)),
        step.why,
    )


def entries() -> str:
    """The names that entries of a history may have."""
    return ", ".join(code(name) for name in machine.entries())


def diagram() -> str:
    """The steps that need nobody to look first. What is the same for every live status is drawn once."""
    lines = ["```mermaid", "stateDiagram-v2", "    state live {"]
    lines += [f"        {line}" for line in _edges(lambda step: step.status in LIVE and step.target in LIVE)]
    lines += ["    }", f"    [*] --> live : {_short(machine.CREATED)}"]
    lines += [f"    [*] --> {Status.INCOMPLETE} : {_short(machine.CREATED)}"]
    lines += [f"    {Status.INCOMPLETE} --> live : {_short(machine.STARTED)}"]
    lines += [f"    live --> {status} : {status}" for status in sorted(machine.ENDED)]
    lines += [f"    {line}" for line in _edges(lambda step: step.status not in LIVE and step.target not in LIVE)]
    return "\n".join([*lines, "```"])


def _edges(wanted: Callable[[Transition], bool]) -> Iterator[str]:
    for step in TRANSITIONS.values():
        moves = step.status is not None and step.target is not step.status
        if moves and step.guard is Guard.NONE and step.trigger is not Trigger.SUCCESSOR_AWAITED and wanted(step):
            yield f"{step.status} --> {step.target} : {_short(step.entry or '')}"


def _short(entry: str) -> str:
    return entry.partition(".")[2]
