"""The documentation names everything there is, and what it says is what the program says."""

import re
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest
from tools import facts, generate_docs, links, sections

from quntedge.gateway.whop.events import EVENT_TYPES, SUBSCRIBED_EVENTS
from quntedge.kit.errors import problem_type
from quntedge.kit.metrics import REGISTRY
from quntedge.schema import all_tables
from quntedge.settings import Settings
from quntedge.subscriptions.models import LIVE
from quntedge.subscriptions.rules import Status
from quntedge.webhooks.models import STATES
from quntedge.wiring import build

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def test_every_setting_is_documented() -> None:
    text = page("configuration.md")
    names = [str(field.validation_alias) for field in Settings.model_fields.values()]
    assert len(names) >= 20
    assert [name for name in names if f"| `{name}` |" not in text] == []
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


async def test_every_route_is_documented_with_its_caller() -> None:
    text = page("api.md")
    known = await facts.routes()
    assert ("POST", "/api/whop/webhook", True) in {(fact.method, fact.path, fact.bare) for fact in known}
    missing = [
        f"{fact.method} {fact.path}"
        for fact in known
        if f"| {fact.method} | `{fact.path}` | {fact.stamp.kind} |" not in text
    ]
    assert missing == []
    assert [f"{fact.method} {fact.path}" for fact in known if not fact.summary] == []


async def test_callers_and_guards_are_explained() -> None:
    text = page("api.md")
    known = await facts.routes()
    assert {fact.stamp.kind for fact in known if f"| {fact.stamp.kind} | " not in text} == set()
    assert {fact.stamp.scope for fact in known if fact.stamp.scope and f"`{fact.stamp.scope}`" not in text} == set()


def test_every_command_and_option_is_documented() -> None:
    text = page("cli.md")
    commands = facts.commands()
    assert len(commands) >= 15
    for command in commands:
        assert f"\n## quntedge {command.name}\n" in text
        part = text.partition(f"\n## quntedge {command.name}\n")[2].partition("\n## ")[0]
        assert command.help.splitlines()[0] in part
        assert [p.shown for p in command.parameters if f"| `{p.shown}` |" not in part or not p.help] == []


def test_every_event_type_is_documented() -> None:
    text = page("webhooks.md")
    assert [name for name in EVENT_TYPES if f"`{name}`" not in text] == []
    endpoint = page("whop.md").partition("<!-- generated:subscribed-events -->")[2].partition("<!-- /generated -->")[0]
    assert set(endpoint.replace("```", "").split()) == set(SUBSCRIBED_EVENTS)


def test_every_error_code_has_the_paragraph_its_type_points_to() -> None:
    anchors = links.anchors(DOCS / "errors.md")
    codes = [kind.code for kind in facts.errors()]
    assert len(codes) >= 50
    assert [code for code in codes if problem_type(code).partition("#")[2] not in anchors] == []


def test_every_metric_is_documented() -> None:
    text = page("operations.md")
    names = {f"{family.name}_total" if family.type == "counter" else family.name for family in REGISTRY.collect()}
    assert names
    assert {name for name in names if f"| `{name}` |" not in text} == set()


def test_every_table_and_column_is_documented() -> None:
    text = page("data-model.md")
    for name, table in all_tables().tables.items():
        part = text.partition(f"\n### {name}\n")[2].partition("\n### ")[0]
        for column in table.columns:
            line = re.search(rf"^\| `{column.name}`.*\| (\w+) \|$", part, re.MULTILINE)
            assert line is not None, f"{name}.{column.name} is missing"
            assert line[1] == column.info["classification"]


def test_the_diagram_shows_exactly_the_states_of_a_subscription() -> None:
    text = page("subscriptions.md")
    diagram = text.partition("stateDiagram-v2\n")[2].partition("```")[0]
    shown = set(re.findall(r"\b[a-z_]+\b", re.sub(r":.*", "", diagram)))
    assert shown - {"state", "live"} == {status.value for status in Status}
    assert [status.value for status in Status if f"| `{status.value}` |" not in text] == []
    live = re.search(r"at most one live subscription \(([^)]+)\)", text)
    assert live is not None
    assert set(re.findall(r"`(\w+)`", live[1])) == set(LIVE)


def test_every_state_of_a_webhook_event_is_explained() -> None:
    text = page("webhooks.md")
    assert [state for state in STATES if f"\n| `{state}` |" not in text] == []


async def test_every_chore_of_a_worker_is_listed() -> None:
    settings = facts.settings_for_docs(demo=False)
    runtime = build(settings, str(settings.database_url))
    try:
        chores = facts.chores(runtime)
    finally:
        await runtime.close()
    assert len(chores) >= 6
    text = page("operations.md")
    assert [chore.name for chore in chores if f"\n| `{chore.name}` | {_every(chore.every)} |" not in text] == []


def _every(interval: timedelta) -> str:
    for unit, size in (("h", 3600), ("min", 60), ("s", 1)):
        if interval % timedelta(seconds=size) == timedelta(0):
            return f"{interval // timedelta(seconds=size)} {unit}"
    raise ValueError(interval)


async def test_generated_regions_are_what_the_code_says() -> None:
    stale = [str(path.relative_to(ROOT)) for path in await generate_docs.stale(ROOT)]
    assert stale == [], "run: make docs"


async def test_every_generated_region_has_a_place() -> None:
    used = {name for path in generate_docs.documents(ROOT) for name in generate_docs.regions(path.read_text("utf-8"))}
    assert used == set(sections.all_sections(await facts.routes()))


@pytest.mark.parametrize("path", [pytest.param(path, id=str(path.relative_to(ROOT))) for path in links.pages(ROOT)])
def test_no_link_is_broken(path: Path) -> None:
    assert links.broken(path) == []


def test_every_page_can_be_found_from_the_index() -> None:
    found = links.reachable(DOCS / "README.md")
    assert [str(path.relative_to(ROOT)) for path in DOCS.rglob("*.md") if path.resolve() not in found] == []
    assert (DOCS / "README.md").resolve() in links.reachable(ROOT / "README.md")


def test_decisions_are_numbered_without_gaps_and_have_their_parts() -> None:
    decisions = sorted((DOCS / "decisions").glob("[0-9]*.md"))
    assert [int(path.name[:4]) for path in decisions] == list(range(1, len(decisions) + 1))
    for path in decisions:
        text = path.read_text("utf-8")
        assert text.startswith(f"# {path.name[:4]} ")
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"], path.name


def test_the_change_log_has_a_section_for_what_is_not_released() -> None:
    assert "\n## [Unreleased]\n" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_settings_named_anywhere_exist() -> None:
    known = {str(field.validation_alias) for field in Settings.model_fields.values()}
    others = {"QUNTEDGE_KEY"}  # a shell variable of an example
    for path in generate_docs.documents(ROOT):
        named = set(re.findall(r"\b(?:QUNTEDGE|WHOP|SMTP)_[A-Z_]*[A-Z]\b", path.read_text("utf-8")))
        assert named <= known | others, f"{path.name} names {named - known - others}"


def test_commands_named_anywhere_exist() -> None:
    names = {command.name for command in facts.commands()}
    groups = {name.split()[0] for name in names if " " in name}
    for path in generate_docs.documents(ROOT):
        code = re.findall(r"```.*?```|`[^`\n]+`", path.read_text("utf-8"), re.DOTALL)
        for first, second in re.findall(r"\bquntedge ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?", "\n".join(code)):
            known = f"{first} {second}" in names if first in groups and second else first in names | groups
            assert known, f"{path.name} names `quntedge {first} {second}`"


def test_make_targets_named_anywhere_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for path in generate_docs.documents(ROOT):
        named = set(re.findall(r"(?:^|`)make ([a-z-]+)", path.read_text("utf-8"), re.MULTILINE))
        assert named <= targets, f"{path.name} names make {', '.join(named - targets)}"


def test_the_package_map_of_the_readme_is_complete() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    ranks = {name.strip() for layer in layers for name in layer.split("|")} - {"__main__"}
    rows = re.findall(r"^\| [0-9½]+ \| (.+?) \|", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert ranks == set(re.findall(r"`(\w+)`", " ".join(rows)))
