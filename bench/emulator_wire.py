"""The emulator's wire: `python -m bench.emulator_wire`.

How many signed webhooks a second it sends to the simplest receiver in another process, and how long single objects
take, beside a bare Starlette route served in the same way.
"""

import argparse
from itertools import cycle
from typing import Any

import httpx
import uvloop
from rich.console import Console
from rich.table import Table

from bench import machine
from bench.children import child
from bench.figures import Figure, percentile
from bench.load import Load, as_fast_as_possible

_HELLO = b"GET / HTTP/1.1\r\nhost: bench.test\r\naccept: */*\r\n\r\n"
_BUYERS = 200


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.emulator_wire", description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000, help="webhooks of each flood (default 20,000)")
    parser.add_argument("--seconds", type=float, default=5, help="length of each measurement of answers (default 5)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each (default 3)")
    return parser.parse_args()


class _Emulator:
    """A served emulator with buyers in it."""

    def __init__(self, port: int, api_key: str) -> None:
        self.port = port
        self._head = {"authorization": f"Bearer {api_key}"}
        self._http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=120)
        self._api_key = api_key

    async def post(self, path: str, **body: Any) -> dict[str, Any]:
        answer = await self._http.post(path, json=body, headers=self._head if path.startswith("/api") else {})
        answer.raise_for_status()
        document: dict[str, Any] = answer.json()
        return document

    async def fill(self) -> list[bytes]:
        """Sells to some buyers; returns requests for single objects: memberships and payments, in turn."""
        product = await self.post("/api/v1/products", title="Bench")
        plan = await self.post("/api/v1/plans", product_id=product["id"], renewal_price=29, billing_period=30)
        checkout = await self.post("/api/v1/checkout_configurations", plan_id=plan["id"])
        paths = []
        for number in range(_BUYERS):
            paid = await self.post("/_control/pay", checkout_id=checkout["id"], email=f"{number}@bench.test")
            paths += [f"memberships/{paid['membership']['id']}", f"payments/{paid['payment']['id']}"]
        return [
            (
                f"GET /api/v1/{path} HTTP/1.1\r\nhost: bench.test\r\nauthorization: Bearer {self._api_key}\r\n"
                "api-version-date: 2026-10-15-1\r\naccept: */*\r\n\r\n"
            ).encode()
            for path in paths
        ]

    async def close(self) -> None:
        await self._http.aclose()


async def _floods(messages: int, rounds: int) -> list[float]:
    rates = []
    with child("bench.receiver_process") as receiver, child("bench.emulator_process") as process:
        emulator = _Emulator(**process.hear())
        url = f"http://127.0.0.1:{receiver.hear()['port']}/hook"
        hook = await emulator.post("/_control/webhooks", url=url)
        for _ in range(rounds):
            report = await emulator.post("/_control/flood", webhook_id=hook["id"], count=messages)
            if report["accepted"] != messages:
                raise AssertionError(f"not everything was accepted: {report}")
            rates.append(report["sent"] / report["seconds"])
        await emulator.close()
    return rates


async def _answers(seconds: float, rounds: int) -> dict[str, list[Load]]:
    """Latencies of one client that asks again as soon as it has its answer, and of four of them."""
    loads: dict[str, list[Load]] = {"hello": [], "one": [], "four": []}
    with child("bench.hello_process") as hello, child("bench.emulator_process") as process:
        bare_port = hello.hear()["port"]
        emulator = _Emulator(**process.hear())
        requests = await emulator.fill()
        kinds = (
            ("hello", bare_port, [_HELLO], 1),
            ("one", emulator.port, requests, 1),
            ("four", emulator.port, requests, 4),
        )
        for _ in range(rounds):
            for name, port, asked, connections in kinds:
                loads[name].append(
                    await as_fast_as_possible(
                        port, cycle(asked), connections=connections, warm_up_seconds=0.5, seconds=seconds
                    )
                )
        await emulator.close()
    return loads


def _figures(rates: list[float], loads: dict[str, list[Load]]) -> list[Figure]:
    def latency(name: str, percent: float) -> tuple[float, ...]:
        return tuple(1000 * percentile(load.latencies_seconds, percent) for load in loads[name])

    return [
        Figure("signed webhooks, flooding", "/s", tuple(rates), target=2_000),
        Figure("single object p50", "ms", latency("one", 50), higher_is_better=False),
        Figure("single object p99", "ms", latency("one", 99), higher_is_better=False, target=5),
        Figure("hello p50", "ms", latency("hello", 50), higher_is_better=False, is_floor=True),
        Figure("hello p99", "ms", latency("hello", 99), higher_is_better=False, is_floor=True),
        Figure("single objects, four clients", "/s", tuple(load.per_second for load in loads["four"])),
        Figure("single object p99, four clients", "ms", latency("four", 99), higher_is_better=False, target=5),
    ]


def main() -> None:
    """Entry point. Nothing fails because something is slow."""
    arguments = _arguments()
    console = Console(width=None if Console().is_terminal else 120)
    busy = machine.load_average()
    if busy > 0.5:
        console.print(f"[yellow]The machine is busy (load {busy:.1f}): trust the ratios, not the rates.[/yellow]")
    rates = uvloop.run(_floods(arguments.messages, arguments.rounds))
    loads = uvloop.run(_answers(arguments.seconds, arguments.rounds))
    table = Table(title="The emulator's wire", title_justify="left", show_edge=False, pad_edge=False)
    table.add_column("figure", no_wrap=True)
    for name in ("median", "spread", "target"):
        table.add_column(name, justify="right", no_wrap=True)
    for figure in _figures(rates, loads):
        sign = "≥" if figure.higher_is_better else "≤"
        table.add_row(
            figure.name,
            f"{figure.median:,.2f} {figure.unit}",
            f"{min(figure.samples):,.2f} – {max(figure.samples):,.2f}",
            "" if figure.target is None else f"{sign} {figure.target:,.0f}",
            style="dim" if figure.is_floor else None,
        )
    console.print(table)


if __name__ == "__main__":
    main()
