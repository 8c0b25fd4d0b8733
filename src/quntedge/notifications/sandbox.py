"""Where templates are rendered, and which of them staff may use.

A template can read the names it is given and nothing else. What staff write is restricted further than the sandbox
does: no loops within loops, no repeated text, no calls. Whoever may edit mails must not be able to stop the worker by
a template that never ends or fills its memory.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from types import TracebackType

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError, TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from quntedge.notifications.wording import LAYOUT, TEMPLATES

LIMITS = {"subject": 300, "text": 20_000, "html": 60_000}
"""The longest source of each part, in characters."""

FILTERS = frozenset(
    "abs capitalize count d default e escape first int last length lines list lower reject rejectattr select"
    " selectattr string title trim upper".split()
)
TESTS = frozenset("defined eq equalto even in mapping ne none number odd string undefined".split())
_NODES: tuple[type[nodes.Node], ...] = (
    nodes.Add, nodes.And, nodes.Assign, nodes.AssignBlock, nodes.Block, nodes.Compare, nodes.Concat, nodes.CondExpr,
    nodes.Const, nodes.Extends, nodes.Filter, nodes.For, nodes.Getattr, nodes.Getitem, nodes.If, nodes.Keyword,
    nodes.List, nodes.Name, nodes.Not, nodes.Operand, nodes.Or, nodes.Output, nodes.Sub, nodes.Template,
    nodes.TemplateData, nodes.Test, nodes.Tuple,
)  # fmt: skip
_OF_A_FRAME = (nodes.Extends, nodes.Block)
_TEMPLATE_FILE = "<template>"
# Neither stored by the database nor read by mail programs.
_UNFIT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_TAG = re.compile(r"(?<!^)(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a template cannot be used: the part it is in, the line where it is known, and what is wrong."""

    part: str
    line: int | None
    message: str

    def __str__(self) -> str:
        where = f", line {self.line}" if self.line is not None and self.part != "subject" else ""
        return f"{self.part}{where}: {self.message}"


def environment(*, html: bool) -> Environment:
    """An environment for HTML, which is escaped, or for plain text, which is not."""
    made = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    # Neither range nor the other helpers: a mail has nothing to count, and each is a way to make work.
    made.globals.clear()
    made.filters["lines"] = str.splitlines
    return made


def check(env: Environment, part: str, source: str, names: Collection[str]) -> list[Fault]:
    """What stands in the way of using this source, without rendering it. `names` are those it may use."""
    if len(source) > LIMITS[part]:
        return [Fault(part, None, f"it is {len(source):,} characters long; at most {LIMITS[part]:,} can be used.")]
    unfit = _UNFIT.search(source)
    if unfit is not None:
        line = source.count("\n", 0, unfit.start()) + 1
        return [Fault(part, line, f"it holds a control character (U+{ord(unfit[0]):04X}).")]
    try:
        tree = env.parse(source)
    except TemplateSyntaxError as error:
        return [Fault(part, error.lineno, _sentence(error.message))]
    return [*_forbidden(part, tree), *_unknown_names(part, tree, names)]


def fault_of(part: str, error: Exception) -> Fault:
    """What an error while rendering says about the template."""
    message = error.message if isinstance(error, TemplateError) else str(error)
    return Fault(part, _line(error.__traceback__), _sentence(message or type(error).__name__))


def _sentence(message: str | None) -> str:
    return f"{(message or 'it cannot be read').rstrip('.')}."


def _line(trace: TracebackType | None) -> int | None:
    """The line of the template itself, not of the frame around it."""
    found = None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _TEMPLATE_FILE:
            found = trace.tb_lineno
        trace = trace.tb_next
    return found


def _unknown_names(part: str, tree: nodes.Template, names: Collection[str]) -> Iterator[Fault]:
    own = {name.name for name in tree.find_all(nodes.Name) if name.ctx in ("store", "param")}
    known = {*names, *own, "loop"}
    for name in tree.find_all(nodes.Name):
        if name.ctx == "load" and name.name not in known:
            listed = ", ".join(sorted(names))
            yield Fault(part, name.lineno, f"there is no name “{name.name}”. There are: {listed}.")


def _forbidden(part: str, tree: nodes.Template) -> Iterator[Fault]:
    setters = [node for node in _walk(tree) if isinstance(node, nodes.Assign | nodes.AssignBlock)]
    targets = (target for node in setters for target in _walk(node.target))
    set_here = {target.name for target in targets if isinstance(target, nodes.Name)}
    for node in _walk(tree):
        message = _objection(part, node, set_here)
        if message is not None:
            yield Fault(part, node.lineno, message)


def _walk(node: nodes.Node) -> Iterator[nodes.Node]:
    yield node
    for child in node.iter_child_nodes():
        yield from _walk(child)


def _objection(part: str, node: nodes.Node, set_here: Collection[str]) -> str | None:
    """Why this piece of a template cannot stand in a mail; None when it can."""
    if not isinstance(node, _NODES) or (part != "html" and isinstance(node, _OF_A_FRAME)):
        return f"“{_TAG.sub(' ', type(node).__name__).lower()}” cannot be used here."
    if isinstance(node, nodes.Filter) and node.name not in FILTERS:
        return f"there is no filter “{node.name}”. There are: {', '.join(sorted(FILTERS))}."
    if isinstance(node, nodes.Test) and node.name not in TESTS:
        return f"there is no test “{node.name}”. There are: {', '.join(sorted(TESTS))}."
    if isinstance(node, nodes.Extends) and not (
        isinstance(node.template, nodes.Const) and node.template.value == LAYOUT
    ):
        return f"only “{LAYOUT}” can be extended."
    if isinstance(node, nodes.For):
        return _objection_to_loop(node, set_here)
    if isinstance(node, nodes.Assign | nodes.AssignBlock) and _reads(node, set_here):
        return "a value that is set cannot be made of another one that is set."
    return None


def _objection_to_loop(loop: nodes.For, set_here: Collection[str]) -> str | None:
    if loop.recursive or any(True for _ in loop.find_all(nodes.For)):
        return "a loop cannot stand in another loop."
    source: nodes.Node | None = loop.iter
    while isinstance(source, nodes.Filter):
        source = source.node
    if not isinstance(source, nodes.Name) or source.name in set_here:
        return "a loop can only go through one of the names that are given."
    return None


def _reads(node: nodes.Assign | nodes.AssignBlock, names: Collection[str]) -> bool:
    return any(name.ctx == "load" and name.name in names for name in node.find_all(nodes.Name))
