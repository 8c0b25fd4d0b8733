"""Links between Markdown pages: what they point at, and whether it is there."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

_FENCE = re.compile(r"^(```|~~~).*?^\1[ \t]*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\[\]]*\])*\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_SKIPPED = frozenset({".venv", ".git", "node_modules", ".quntedge", ".hypothesis"})


@dataclass(frozen=True, slots=True)
class Link:
    """A link of a page to something in the repository. `anchor` is empty for the whole file."""

    source: Path
    target: Path
    anchor: str
    text: str


def pages(root: Path) -> list[Path]:
    """All Markdown files that belong to the repository."""
    return [path for path in sorted(root.rglob("*.md")) if not _SKIPPED & set(path.relative_to(root).parts)]


def links(page: Path) -> Iterator[Link]:
    """The relative links of a page, code left out."""
    for match in _LINK.finditer(_prose(page)):
        address = match[1]
        if not _ELSEWHERE.match(address):
            name, _, anchor = address.partition("#")
            target = (page.parent / unquote(name)).resolve() if name else page.resolve()
            yield Link(page, target, anchor, address)


def anchors(page: Path) -> frozenset[str]:
    """The anchors that the headings of a page have on GitHub."""
    seen: Counter[str] = Counter()
    found = set()
    for match in _HEADING.finditer(_prose(page)):
        slug = _slug(match[1])
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return frozenset(found)


def broken(page: Path) -> list[str]:
    """What is wrong with the links of a page, in a sentence each."""
    problems = []
    for link in links(page):
        if not link.target.exists():
            problems.append(f"{page.name} links to {link.text}, which does not exist")
        elif link.anchor and link.target.suffix == ".md" and link.anchor not in anchors(link.target):
            problems.append(f"{page.name} links to {link.text}, and there is no such heading")
    return problems


def reachable(start: Path) -> frozenset[Path]:
    """The pages one can come to from a page by following links."""
    seen: set[Path] = set()
    waiting = [start.resolve()]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md" or not page.exists():
            continue
        seen.add(page)
        waiting += [link.target for link in links(page)]
    return frozenset(seen)


def _prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text("utf-8"))


def _slug(heading: str) -> str:
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
