"""What all pages of the console share: the time and its buttons, the ways to everything, what was just done."""

import json
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from secrets import token_urlsafe
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from quntedge.gateway.emulator.calls.requests import runtime_of
from quntedge.gateway.emulator.console.kinds import KINDS, Cell, kind_of, when
from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.hosted import pages

PAGE_SIZE = 25
SEARCHED = 100_000
"""How many of the newest rows are searched, so that a page never keeps the emulator busy for long."""
_NOTES_KEPT = 100
_ID = re.compile(r'("[a-z]+_[A-Za-z0-9]{6,}")')


@dataclass(slots=True)
class Console:
    """What the console's pages need besides the runtime: the two APIs, and what to say on the next page."""

    api: ASGIApp
    controls: ASGIApp
    _notes: "OrderedDict[str, tuple[str, str]]" = field(default_factory=OrderedDict)

    def note(self, text: str, tone: str) -> str:
        """Keeps a sentence for the page that follows; returns the word that fetches it."""
        word = token_urlsafe(6)
        self._notes[word] = (text, tone)
        while len(self._notes) > _NOTES_KEPT:
            self._notes.popitem(last=False)
        return word

    def take_note(self, word: str) -> tuple[str, str] | None:
        """The sentence, once."""
        return self._notes.pop(word, None)


def console_of(request: Request) -> Console:
    """The console a request is for."""
    console: Console = request.app.state.console
    return console


def render(request: Request, template: str, title: str, values: Mapping[str, object], status: int = 200) -> Response:
    """A page with what all pages show: the time, its buttons, the ways to everything."""
    runtime = runtime_of(request)
    world, query = runtime.world, request.url.query
    common = {
        "title": title,
        "path": request.url.path,
        "back": request.url.path + (f"?{query}" if query and "note=" not in query else ""),
        "now": world.now(),
        "branch": runtime.shelf.current,
        "kinds": [(kind.slug, kind.label, len(kind.rows(world))) for kind in KINDS],
        "armed": sum(rule.armed for rule in runtime.dispatcher.faults),
        "followers": len(runtime.followers.present()),
        "note": console_of(request).take_note(request.query_params.get("note", "")),
        "when": when,
    }
    return pages.page(template, {**common, **values}, status)


def page_number(request: Request) -> int:
    """Which page of a list is asked for, from 1."""
    text = request.query_params.get("page", "1")
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) <= 8 else 1


def linked(world: World, body: Any) -> list[Cell]:
    """Indented JSON, cut into pieces of which those that name known objects are links."""
    pieces = []
    for piece in _ID.split(json.dumps(body, indent=2, ensure_ascii=False)):
        kind = kind_of(world, piece.strip('"')) if piece.startswith('"') else None
        pieces.append(Cell(piece, None if kind is None else f"/console/{kind.slug}/{piece.strip(chr(34))}"))
    return pieces
