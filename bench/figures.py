"""What a benchmark hands over: samples of named figures, and how they compare with each other and with earlier ones."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity, a sample a round.

    `name` is stable, because the baseline knows the figure by it. `target` is what we aim at, in the figure's unit;
    it is shown and never enforced: a busy machine must not look like a defect.
    """

    name: str
    unit: str
    samples: tuple[float, ...]
    higher_is_better: bool = True
    target: float | None = None
    is_floor: bool = False

    @property
    def median(self) -> float:
        """The middle sample."""
        return median(self.samples)

    @property
    def meets_target(self) -> bool | None:
        """Whether the median is where we want it; None without a target."""
        if self.target is None:
            return None
        return self.median >= self.target if self.higher_is_better else self.median <= self.target


@dataclass(frozen=True, slots=True)
class Group:
    """The figures of one benchmark, with the remarks a reader needs to understand them."""

    title: str
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()


def ratio(name: str, ours: Sequence[float], floor: Sequence[float], target: float) -> Figure:
    """Ours as a percentage of the floor, round by round: neighbours in time share the machine's mood."""
    samples = tuple(100 * mine / bare for mine, bare in zip(ours, floor, strict=True))
    return Figure(name, "%", samples, target=target)


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that this many percent of the values do not exceed (nearest rank). Raises ValueError on nothing."""
    if not values:
        raise ValueError("there is no percentile of nothing")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


class Baseline:
    """The figures of an earlier run, kept in a file under version control."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._document: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}

    @property
    def machine(self) -> dict[str, str] | None:
        """The machine of that run; None when there was none."""
        return self._document.get("machine")

    def median_of(self, name: str) -> float | None:
        """The median a figure had; None when it was not measured then."""
        figure = self._document.get("figures", {}).get(name)
        return None if figure is None else float(figure["median"])

    def save(self, groups: Sequence[Group], machine: dict[str, str]) -> None:
        """Replaces the figures measured now and keeps the others."""
        figures: dict[str, Any] = dict(self._document.get("figures", {}))
        for figure in (figure for group in groups for figure in group.figures):
            figures[figure.name] = {
                "unit": figure.unit,
                "median": round(figure.median, 2),
                "lowest": round(min(figure.samples), 2),
                "highest": round(max(figure.samples), 2),
                "rounds": len(figure.samples),
            }
        self._document = {"machine": machine, "figures": dict(sorted(figures.items()))}
        self._path.write_text(json.dumps(self._document, indent=2) + "\n", "utf-8")
