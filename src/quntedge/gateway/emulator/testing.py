"""Runs the emulator inside a test, on a real loopback port.

async with running_emulator() as emu:
    await emu.register_webhook("http://127.0.0.1:9000/hook", secret="ws_test")
    paid = await emu.pay(checkout_id, email="kim@customer.test")
    await emu.advance(days=30)
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
from starlette.applications import Starlette

from quntedge.gateway.emulator.app import create_emulator
from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.runtime import Runtime
from quntedge.gateway.emulator.serving import EmulatorServer
from quntedge.kit.clock import Clock

_START_SECONDS = 60.0
_TICK_SECONDS = 0.1
_CONTROL_TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class RunningEmulator:
    """A served emulator. Everything here goes over HTTP, except `runtime`, which is the inside of it."""

    url: str
    config: EmulatorConfig
    control: httpx.AsyncClient
    """Speaks to `/_control`; its base address is already set."""
    runtime: Runtime

    @property
    def api_base_url(self) -> str:
        """Where API clients point."""
        return f"{self.url}/api/v1"

    @property
    def control_url(self) -> str:
        """For `FollowingClock`."""
        return f"{self.url}/_control"

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        response = await self.control.post(path, json=body)
        if response.is_error:
            raise RuntimeError(f"the emulator refused {path}: {response.text}")
        answer: dict[str, Any] = response.json()
        return answer

    async def advance(self, **step: float | str) -> dict[str, Any]:
        """Moves the clock: `days=30`, `hours=`, `minutes=`, `seconds=`, `months=`, or `to="2026-…Z"`.

        Returns `{"now", "events", "deliveries"}` after the first delivery attempts of all that happened.
        """
        return await self._post("clock/advance", dict(step))

    async def pay(
        self,
        checkout_id: str,
        card: str = "4242424242424242",
        *,
        email: str,
        name: str | None = None,
        challenge: str = "pass",
        promo_code: str | None = None,
        country: str | None = None,
        expiry: str | None = None,
    ) -> dict[str, Any]:
        """Pays a checkout without its page, or saves a card with a checkout of mode `setup`.

        Returns `{"outcome": "paid" | "declined" | "challenge" | "pending", "payment", "membership", "redirect_url"}`,
        for a saved card `{"outcome": "saved" | "declined" | "challenge", "setup_intent", "redirect_url"}`.
        """
        body = {"checkout_id": checkout_id, "card": card, "email": email, "name": name, "challenge": challenge}
        return await self._post("pay", {**body, "promo_code": promo_code, "country": country, "expiry": expiry})

    async def open_dispute(self, payment_id: str, **complaint: Any) -> dict[str, Any]:
        """A buyer disputes a payment: `amount=`, `reason=`, `inquiry=`, `respond_within_days=`. Returns the dispute."""
        return await self._post(f"payments/{payment_id}/dispute", complaint)

    async def rule_dispute(self, dispute_id: str, status: str, comment: str | None = None) -> dict[str, Any]:
        """The bank decides: won, lost, prevented, warning_closed, … Returns the dispute."""
        return await self._post(f"disputes/{dispute_id}", {"status": status, "comment": comment})

    async def raise_alert(self, payment_id: str, **alert: Any) -> dict[str, Any]:
        """Warns of a dispute: `type=`, `auto_refund=`, `fee_charged=`. Returns the alert."""
        return await self._post(f"payments/{payment_id}/alert", alert)

    async def next_refund(self, payment_id: str, status: str, **script: Any) -> None:
        """How the next refund of a payment ends: `failure_reason=`, `after_seconds=`."""
        await self._post(f"payments/{payment_id}/next_refund", {"status": status, **script})

    async def upload(self, filename: str, content: bytes) -> str:
        """A file that the account has uploaded; its id."""
        headers = {"Authorization": f"Bearer {self.config.api_key}"}
        async with httpx.AsyncClient(trust_env=False) as http:
            body = {"filename": filename, "byte_size": len(content)}
            made = await http.post(f"{self.api_base_url}/files", json=body, headers=headers)
            made.raise_for_status()
            file = made.json()
            put = await http.put(file["upload_url"], content=content, headers=file["upload_headers"])
            put.raise_for_status()
        return str(file["id"])

    async def process_files(self, *, seconds: int) -> None:
        """From now on a file takes this long to become ready once its bytes have landed."""
        await self._post("files", {"processing_seconds": seconds})

    async def files(self) -> list[dict[str, Any]]:
        """All files that were announced, with what Whop would not tell: their digest, and how often bytes landed."""
        async with httpx.AsyncClient(trust_env=False) as http:
            found = await http.get(f"{self.control_url}/files")
            found.raise_for_status()
        rows: list[dict[str, Any]] = found.json()
        return rows

    async def change_card(self, payment_method_id: str, behaviour: str) -> None:
        """Makes a stored card behave like another test card: `succeeds`, `declines:lost_card`, …"""
        await self._post(f"payment_methods/{payment_method_id}", {"behaviour": behaviour})

    async def set_taxes(self, rates: dict[str, int], behavior: str = "exclusive") -> None:
        """Collects taxes: basis points by country, `exclusive` or `inclusive` where the plan says nothing."""
        await self._post("taxes", {"rates": rates, "behavior": behavior})

    async def pay_out(self, **payout: Any) -> dict[str, Any]:
        """Pays the balance out: `amount=` (else all of it), `currency=`, `fee=`, `status=`. Returns the payout."""
        return await self._post("payouts", payout)

    async def move_payout(self, payout_id: str, status: str) -> dict[str, Any]:
        """Brings a payout to a status; one that fails or is reversed gives the money back."""
        return await self._post(f"payouts/{payout_id}", {"status": status})

    async def add_movement(self, line_type: str, amount: str, **movement: Any) -> dict[str, Any]:
        """A movement that nothing else explains, `amount` such as "-0.44": `currency=`, `payment_id=`. Returns it."""
        return await self._post("movements", {"line_type": line_type, "amount": amount, **movement})

    async def settle_in(self, into: str, currency: str, rate: str | None = None) -> None:
        """What is paid in a currency settles in another one from now on, at a rate such as "1.0843"; without a rate as
        it is again."""
        await self._post("settlement", {"currency": currency, "into": into, "rate": rate})

    async def register_webhook(
        self, url: str, secret: str, legacy: bool = False, events: list[str] | None = None
    ) -> dict[str, Any]:
        """Adds an endpoint with this secret; `legacy` leaves it unpinned. Returns the endpoint."""
        return await self._post("webhooks", {"url": url, "secret": secret, "legacy": legacy, "events": events})

    async def sign_in(self, authorize_url: str, email: str, name: str | None = None) -> str:
        """Signs in on the page an application sent the browser to; returns where the browser is sent back."""
        response = await self.control.post(authorize_url, data={"email": email, "name": name or ""})
        if response.status_code != httpx.codes.SEE_OTHER:
            raise RuntimeError(f"the emulator refused the sign-in: {response.status_code}")
        return response.headers["location"]

    async def decline_next(self, membership_id: str, times: int = 1, decline_code: str | None = None) -> None:
        """Declines the next automatic charges of a membership."""
        body = {"times": times, "decline_code": decline_code}
        await self._post(f"memberships/{membership_id}/decline_next", body)

    async def faults(self, **settings: Any) -> dict[str, Any]:
        """Arms a rule (`fault="error_after", match="POST /payments", times=2, …`), or sets the short forms
        `duplicate=`, `reorder=`, `drop_next=`, `delay_ms=` of deliveries."""
        return await self._post("faults", dict(settings))

    async def disarm(self) -> None:
        """Takes all faults back; calls that hang go on."""
        (await self.control.delete("faults")).raise_for_status()

    async def faults_state(self) -> dict[str, Any]:
        """What is armed and what was done: what `GET /_control/faults` answers."""
        answer: dict[str, Any] = (await self.control.get("faults")).json()
        return answer

    async def flood(self, count: int, webhook_id: str | None = None, **settings: Any) -> dict[str, Any]:
        """Sends `count` signed messages to an endpoint as fast as it takes them."""
        return await self._post("flood", {"count": count, "webhook_id": webhook_id, **settings})

    async def settle(self) -> None:
        """Waits until nothing is due and no delivery is queued or on its way. Retries that wait do not count."""
        await self._post("settle", {})

    async def reset(self) -> None:
        """Forgets all objects but webhook endpoints."""
        await self._post("reset", {})

    async def snapshot(self, name: str) -> dict[str, Any]:
        """Keeps the whole state, clock included, under a name."""
        return await self._post("snapshots", {"name": name})

    async def restore(self, name: str, *, force: bool = False) -> dict[str, Any]:
        """Goes back to a snapshot, its time included; `force` even while programs follow the clock.

        Returns `{"branch", "now", "version"}`.
        """
        return await self._post(f"snapshots/{name}/restore", {"force": force})

    async def branch(self, name: str, *, snapshot: str | None = None, force: bool = False) -> dict[str, Any]:
        """Begins a branch of the timeline, from now or from a snapshot, and goes on in it. Returns as `restore`."""
        return await self._post("branches", {"name": name, "snapshot": snapshot, "force": force})

    async def switch(self, name: str, *, force: bool = False) -> dict[str, Any]:
        """Goes on where another branch was left. Returns as `restore`."""
        return await self._post(f"branches/{name}/switch", {"force": force})

    async def state(self) -> dict[str, Any]:
        """Counts of everything: what `GET /_control/state` answers."""
        answer: dict[str, Any] = (await self.control.get("state")).json()
        return answer


class _Server(EmulatorServer):
    """Leaves the signal handlers of the test runner alone, and stops at once when asked to."""

    def __init__(self, app: Starlette) -> None:
        super().__init__(app)
        self._asked = asyncio.Event()

    def stop(self) -> None:
        """Asks for the end. uvicorn by itself looks ten times a second whether it was asked."""
        self.should_exit = True
        self._asked.set()

    async def main_loop(self) -> None:
        """Called by uvicorn."""
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 1
            with contextlib.suppress(TimeoutError):  # the next tick, which keeps the Date header right
                async with asyncio.timeout(_TICK_SECONDS):
                    await self._asked.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def running_emulator(
    config: EmulatorConfig | None = None, port: int = 0, real_clock: Clock | None = None
) -> AsyncIterator[RunningEmulator]:
    """Serves an emulator in the current event loop, on a free port unless told otherwise.

    The configuration's `public_base_url` is replaced by the address it is served at.
    """
    # asyncio turns Nagle's algorithm off only where the socket names TCP; without it every answer waits 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = replace(config or EmulatorConfig(), public_base_url=url)
        app = create_emulator(config, real_clock)
        server = _Server(app)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            async with asyncio.timeout(_START_SECONDS):
                while not server.started and not serving.done():
                    await asyncio.sleep(0.005)
            if serving.done():
                raise RuntimeError("the emulator did not start") from serving.exception()
            async with httpx.AsyncClient(
                base_url=f"{url}/_control/",
                timeout=_CONTROL_TIMEOUT_SECONDS,
                trust_env=False,
                verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),  # plain HTTP: no certificates need to be read
            ) as control:
                yield RunningEmulator(url, config, control, app.state.runtime)
        finally:
            server.stop()
            await serving
