"""How much to measure."""

from dataclasses import dataclass

from rich.console import Console

from bench.database import BenchServer


@dataclass(frozen=True, slots=True)
class Plan:
    """The size of a run. `rounds` are interleaved: floor, ours, floor, ours, and so on."""

    rounds: int
    warm_up_seconds: float
    seconds: float
    live_seconds: float
    customers: int
    access_customers: int
    connections: int = 96

    @classmethod
    def full(cls, rounds: int) -> "Plan":
        """For figures worth writing down."""
        return cls(
            rounds=rounds,
            warm_up_seconds=1,
            seconds=5,
            live_seconds=10,
            customers=6_700,
            access_customers=10_000,
        )

    @classmethod
    def quick(cls) -> "Plan":
        """To see that everything works."""
        return cls(rounds=1, warm_up_seconds=0.3, seconds=1, live_seconds=2, customers=700, access_customers=1_000)


@dataclass(frozen=True, slots=True)
class Bench:
    """What every benchmark needs."""

    server: BenchServer
    plan: Plan
    console: Console

    def say(self, text: str) -> None:
        """Tells whoever waits what is going on."""
        self.console.print(f"[dim]{text}[/dim]", highlight=False)
