"""Fills the generated regions of the documentation: `make docs`; with `--check` it only compares.

A region begins with `<!-- generated:NAME -->` and ends with `<!-- /generated -->`; what stands between is replaced.
"""

import asyncio
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tools import facts
from tools.sections import all_sections

ROOT = Path(__file__).parents[1]
_REGION = re.compile(r"(<!-- generated:([a-z-]+) -->\n).*?(<!-- /generated -->)", re.DOTALL)
_OPENING = re.compile(r"<!-- generated:")


class UnknownRegion(Exception):
    """A page has a region that nothing fills, or one that does not end."""


def documents(root: Path = ROOT) -> Iterator[Path]:
    """Every page of the documentation, README and change log included."""
    yield from (path for name in ("README.md", "CHANGELOG.md") if (path := root / name).exists())
    yield from sorted((root / "docs").rglob("*.md"))


def regions(text: str) -> list[str]:
    """The names of the regions of a page."""
    return [match[2] for match in _REGION.finditer(text)]


def filled(text: str, sections: Mapping[str, Callable[[], str]]) -> str:
    """The page with its regions made anew. Raises `UnknownRegion`."""

    def fill(match: re.Match[str]) -> str:
        maker = sections.get(match[2])
        if maker is None:
            raise UnknownRegion(f"nothing fills the region {match[2]!r}; known are {', '.join(sections)}")
        return f"{match[1]}\n{maker()}\n\n{match[3]}"

    if len(_OPENING.findall(text)) != len(regions(text)):
        raise UnknownRegion("a region is not closed with <!-- /generated -->")
    return _REGION.sub(fill, text)


async def stale(root: Path = ROOT) -> dict[Path, str]:
    """The pages whose regions are out of date, with the text they should have."""
    sections = all_sections(await facts.routes())
    found = {}
    for path in documents(root):
        held = path.read_text("utf-8")
        wanted = filled(held, sections)
        if wanted != held:
            found[path] = wanted
    return found


def main() -> None:
    """Entry point."""
    found = asyncio.run(stale())
    check = "--check" in sys.argv[1:]
    for path, text in found.items():
        if not check:
            path.write_text(text, "utf-8")
        sys.stdout.write(f"{'stale' if check else 'written'}: {path.relative_to(ROOT)}\n")
    if check and found:
        sys.exit("Run: make docs")


if __name__ == "__main__":
    main()
