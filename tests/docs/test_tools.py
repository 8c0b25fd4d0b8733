"""The tools behind the documentation notice what they are there to notice."""

from pathlib import Path

import pytest
from tools import generate_docs, links
from tools.generate_docs import UnknownRegion
from tools.markdown import table

SECTIONS = {"greeting": lambda: "Hello."}


def test_a_region_is_replaced_and_the_rest_is_left_alone() -> None:
    page = "Before.\n\n<!-- generated:greeting -->\nold\n<!-- /generated -->\n\nAfter.\n"
    filled = generate_docs.filled(page, SECTIONS)
    assert filled == "Before.\n\n<!-- generated:greeting -->\n\nHello.\n\n<!-- /generated -->\n\nAfter.\n"
    assert generate_docs.filled(filled, SECTIONS) == filled


@pytest.mark.parametrize(
    "page",
    [
        pytest.param("<!-- generated:farewell -->\n<!-- /generated -->\n", id="unknown"),
        pytest.param("<!-- generated:greeting -->\nHello.\n", id="not closed"),
        pytest.param("<!-- generated:greeting -->\n<!-- generated:greeting -->\n<!-- /generated -->\n", id="nested"),
    ],
)
def test_a_region_that_cannot_be_filled_is_an_error(page: str) -> None:
    with pytest.raises(UnknownRegion):
        generate_docs.filled(page, SECTIONS)


async def test_a_stale_page_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    stale = tmp_path / "docs" / "stale.md"
    stale.write_text("<!-- generated:limits -->\n\n| nothing |\n\n<!-- /generated -->\n")
    (tmp_path / "docs" / "plain.md").write_text("No region.\n")
    found = await generate_docs.stale(tmp_path)
    assert list(found) == [stale]
    assert "`sign_in_email`" in found[stale]


def test_a_bar_in_a_cell_does_not_end_it() -> None:
    assert table(("A",), [("x | y\nz",), ("",)]) == "| A |\n| --- |\n| x \\| y z |\n| – |"


def test_broken_links_and_headings_are_noticed(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# There\n\n## Twice, `really`\n\n## Twice, really\n\n```\n# no heading\n```\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](there.md) [b](there.md#twice-really) [c](there.md#twice-really-1) [d](https://example.com/x.md)\n"
        "[`code`](there.md#there) ![picture](gone.png) [e](gone.md) [f](there.md#no-heading) [g](#nowhere)\n"
        "```\n[h](gone-too.md)\n```\n"
    )
    assert [problem.split(",")[0] for problem in links.broken(page)] == [
        "page.md links to gone.png",
        "page.md links to gone.md",
        "page.md links to there.md#no-heading",
        "page.md links to #nowhere",
    ]


def test_pages_are_reached_over_several_links(tmp_path: Path) -> None:
    for name, text in {"a": "[b](b.md)", "b": "[c](c.md) [a](a.md)", "c": "", "d": "[a](a.md)"}.items():
        (tmp_path / f"{name}.md").write_text(text)
    found = {path.name for path in links.reachable(tmp_path / "a.md")}
    assert found == {"a.md", "b.md", "c.md"}
