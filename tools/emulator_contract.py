"""Writes docs/emulator-contract.md: what the emulator speaks of the official SDK, as the contract's own run saw it.

`python -m tools.emulator_contract` compares, with `--write` it writes. The page holds nothing that was not seen in that
run, but for the reasons (`tests/emulator/contract/reasons.py`), which the run checks for completeness.
"""

import asyncio
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path

from tests.emulator.contract.coverage import Coverage, Seen
from tests.emulator.contract.parameters import Handling
from tests.emulator.contract.play import Contract, play
from tests.emulator.contract.reasons import FIELDS, STATUSES
from tests.emulator.contract.served import not_served, reason, served
from tests.emulator.contract.surface import Operation, other_modules
from tests.emulator.contract.webhooks import LEGACY, payload_classes

PAGE = Path(__file__).parents[1] / "docs" / "emulator-contract.md"
_PAGING = ("first", "after", "last", "before")
_TIMES = ("created_after", "created_before", "order", "direction")
_FEW_VALUES = 32
"""Enumerations of more values (currencies, decline codes, card brands …) are only counted."""
_INTRODUCTION = """\
<!-- Made by `python -m tools.emulator_contract --write`. Do not edit. -->

# The emulator's contract with the official SDK

This page was written by a program. It runs the official client, untouched, against the
[emulator](emulator.md) through every operation and every status an object can reach, compares each raw answer and each
webhook with the SDK's types (an unknown field, a missing one, a value outside an enumeration is an error), asks each
operation with a wrong key and about things that do not exist, and tries every parameter. A test fails when this page
no longer says what that run sees.
"""
_READING = """\
*Answers* are the statuses that were seen; one with a star raises the SDK's bare `ApiError`, since the SDK has no class
of its own for it there. *Parameters* are all that the SDK has, apart from those in the path; *paging* is `first`,
`after`, `last`, `before`, and *order and times* is `order`, `direction`, `created_after`, `created_before`; what
stands in braces is inside of an object or of a list of objects. Parameters of no effect are accepted whatever they
say."""
_BEYOND = """\
Parameters that are taken although the SDK does not have them there (lists share their paging, `/plans` is the other
name of `/variants`, and a product's `external_identifier`, which can be read, must be settable); every other unknown
parameter is refused with 400:"""


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') or '–' for cell in line)} |" for line in lines)


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _shortened(names: list[str]) -> str:
    """Parameters with the usual ones of lists put together, and with the members of each object put together."""
    parts = []
    members: dict[str, list[str]] = {}
    for parent, _, member in (name.partition(".") for name in names):
        if member:
            members.setdefault(parent, []).append(member)
    names = [name for name in names if "." not in name]
    for group, word in ((_PAGING, "paging"), (_TIMES, "order and times")):
        if set(group) <= set(names):
            names = [name for name in names if name not in group]
            parts.append(word)
    parts += [f"`{parent}.{{{', '.join(inner)}}}`" for parent, inner in members.items()]
    return ", ".join(filter(None, (_code(names), *parts)))


def operations(contract: Contract) -> str:
    """One table for each module: what was asked, what was answered, what became of the parameters."""
    handled: dict[str, dict[Handling, list[str]]] = defaultdict(lambda: defaultdict(list))
    for probe in contract.probes:
        handled[probe.operation.key][probe.handling].append(probe.name)
    modules: dict[str, list[Sequence[str]]] = {}
    seen = contract.record.seen()
    for key, operation in served().items():
        words = {Handling.ACTS: "", Handling.IGNORES: "no effect: ", Handling.REFUSES: "refused: "}
        said = [f"{word}{_shortened(names)}" for how, word in words.items() if (names := handled[key][how])]
        request = f"`{operation.http_method} /{operation.path.replace('{}', '{id}')}`"
        modules.setdefault(operation.module, []).append(
            (f"`{operation.name}`", request, _answers(operation, seen.get(key, set())), "; ".join(said))
        )
    headings = ("Operation", "Request", "Answers", "Parameters")
    return "\n\n".join(f"### {module}\n\n{_table(headings, rows)}" for module, rows in modules.items())


def _answers(operation: Operation, statuses: set[int]) -> str:
    untyped = {status for status in statuses if status >= 400} - operation.errors
    return ", ".join(f"{status}*" if status in untyped else str(status) for status in sorted(statuses))


def things(coverage: Coverage) -> str:
    """What was seen of each thing, field by field."""
    return "\n\n".join(_thing(coverage, name) for name in sorted(coverage.fields))


def _thing(coverage: Coverage, name: str) -> str:
    fields = coverage.fields[name]
    whole = [path for path, places in fields.items() if min(places.values()) is Seen.VALUE]
    part = [path for path, places in fields.items() if max(places.values()) is Seen.VALUE and path not in whole]
    gaps = [path for path, places in fields.items() if max(places.values()) is not Seen.VALUE]
    parts = [f"### {name}", f"With a value ({len(whole)}): {_code(whole)}." if whole else ""]
    if part:
        rows = [(f"`{path}`", ", ".join(_places(fields[path]))) for path in part]
        parts.append("With a value in some places only:\n\n" + _table(("Field", "Where"), rows))
    if gaps:
        parts.append("Never with a value:\n\n" + _table(("Fields", "Seen", "Why"), _gaps(name, fields, gaps)))
    values = _values(coverage, name)
    if values:
        parts.append("Values of enumerations:\n\n" + _table(("Field", "Seen", "Not seen"), values))
    return "\n\n".join(filter(None, parts))


def _places(places: dict[str, Seen]) -> list[str]:
    words = {Seen.VALUE: "a value", Seen.EMPTY: "empty", Seen.NULL: "null", Seen.ABSENT: "left out"}
    names = {"single": "alone", "list": "in lists", "webhook": "in webhooks"}
    return [f"{words[seen]} {names[place]}" for place, seen in places.items()]


def field_reason(name: str, path: str) -> str | None:
    """Why a field never has a value; None when nobody said."""
    return next((why for pattern, why in FIELDS.items() if fnmatchcase(f"{name}.{path}", pattern)), None)


def _gaps(name: str, fields: dict[str, dict[str, Seen]], gaps: list[str]) -> list[Sequence[str]]:
    """Fields that are alike put into one row."""
    words = {Seen.EMPTY: "empty", Seen.NULL: "always null", Seen.ABSENT: "never"}
    rows: dict[tuple[str, str], list[str]] = {}
    for path in gaps:
        key = (words[max(fields[path].values())], field_reason(name, path) or "")
        rows.setdefault(key, []).append(path)
    return [(_code(paths), word, why) for (word, why), paths in sorted(rows.items(), key=lambda row: row[1])]


def _values(coverage: Coverage, name: str) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = []
    for (thing, path), options in coverage.options.items():
        if thing != name:
            continue
        seen = [option for option in options if option in coverage.values[thing, path]]
        missing = [option for option in options if option not in seen]
        if len(options) > _FEW_VALUES:
            rows.append((f"`{path}`", f"{len(seen)} of {len(options)}", ""))
        else:
            rows.append((f"`{path}`", _code(seen), "; ".join(_missing(name, path, missing))))
    return rows


def _missing(name: str, path: str, values: list[str]) -> list[str]:
    rows: dict[str, list[str]] = {}
    for value in values:
        rows.setdefault(status_reason(name, path, value) or "", []).append(value)
    return [f"{_code(options)}{f' ({why})' if why else ''}" for why, options in rows.items()]


def status_reason(name: str, path: str, value: str) -> str | None:
    """Why a status is never reached; None when nobody said."""
    return next((why for pattern, why in STATUSES.items() if fnmatchcase(f"{name}.{path}={value}", pattern)), None)


def webhooks(contract: Contract) -> str:
    """The events that were delivered, with the classes that read them."""
    classes = payload_classes()
    rows = []
    for event in sorted({one.type for one in contract.native}):
        model = classes.get(event)
        legacy = LEGACY.get(event.partition(".")[0])
        rows.append(
            (
                f"`{event}`",
                "none: read as its object" if model is None else f"`{model.__name__}`",
                "the same object" if legacy is None else f"`{legacy.__name__}`",
            )
        )
    return _table(("Event", "Class of the SDK (pinned endpoint)", "Object on an endpoint without pin"), rows)


def left_out() -> str:
    """The operations that are not served, with the reason."""
    rows: dict[tuple[str, str], list[str]] = {}
    for key, operation in not_served().items():
        rows.setdefault((operation.module, reason(key) or ""), []).append(operation.name)
    return _table(("Module", "Operations", "Why"), [(f"`{m}`", _code(names), why) for (m, why), names in rows.items()])


def page(contract: Contract) -> str:
    """The whole page."""
    beyond = [(f"`{key}`", _code(sorted(names))) for key, names in sorted(contract.strangers.items())]
    fields = contract.coverage.fields.values()
    with_value = sum(max(places.values()) is Seen.VALUE for paths in fields for places in paths.values())
    numbers = (
        f"Seen in that run with `whop-sdk` {version('whop-sdk')}: {len(contract.record.seen())} operations, "
        f"{len({one.type for one in contract.native})} kinds of webhooks, {with_value} of "
        f"{sum(map(len, fields))} fields with a value."
    )
    sections = (
        _INTRODUCTION.strip(),
        numbers,
        "## Operations",
        _READING,
        operations(contract),
        _BEYOND,
        _table(("Operation", "Parameters"), beyond),
        "## Webhooks",
        "Every delivery went through `whop_sdk.lib.verify_webhook.unwrap`.",
        webhooks(contract),
        "## Objects, field by field",
        things(contract.coverage),
        "## Not served",
        left_out(),
        f"Modules apart from billing, none of which is served: {_code(other_modules())}.",
    )
    return "\n\n".join(sections) + "\n"


def main() -> None:
    """Entry point."""
    text = page(asyncio.run(play()))
    if "--write" in sys.argv[1:]:
        PAGE.write_text(text, "utf-8")
    elif not PAGE.exists() or PAGE.read_text("utf-8") != text:
        sys.exit("docs/emulator-contract.md is stale. Run: python -m tools.emulator_contract --write")


if __name__ == "__main__":
    main()
