"""What no browser sends, to every page and form: an answer below 500, in the form that was asked for."""

import itertools
import re
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from urllib.parse import quote

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from quntedge.edge.limits import RateLimits
from quntedge.edge.walk import walk
from quntedge.kit.clock import FrozenClock
from quntedge.settings import Settings
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import Vault
from tests.edge.shop import Person, Shop, open_shop
from tests.web.browser import HTML

TEXTS = (
    "",
    "\x00",
    "a\x00b",
    "\ud800",
    "\u202e\u200b",
    "x" * 5_000,
    "9" * 400,
    "-1",
    "NaN",
    "99999-12-31",
    "0001-01-01",
    "2026-02-30",
    "../../etc/passwd",
    "%",
    "' OR 1=1 --",
    "{{7*7}}",
    "//evil.example",
    "<script>alert(1)</script>",
)
FIELDS = (
    *("attempt", "contract", "days", "feedback", "id", "locale", "method", "name", "next", "offer", "pay_by", "plan"),
    *("promotion_code", "quote", "reason", "terms", "until", "when"),
)
QUERIES = ("code", "cursor", "from", "next", "plan", "since", "status", "to")


@pytest.fixture
async def unlimited(
    settings: Settings, engine: AsyncEngine, units: UnitOfWorkFactory, clock: FrozenClock, vault: Vault
) -> AsyncIterator[Shop]:
    """A shop in which every request comes minutes after the one before."""
    ticks = itertools.count(step=1000.0)
    limits = RateLimits(lambda: next(ticks))
    async with open_shop(settings, engine, units, clock, vault, changes={"limits": limits}) as shop:
        yield shop


_LEFT_OUT = ("/sign-out", "/billing/manage")


def _sent(value: str) -> str:
    """As it stands in an address or a form; what has no UTF-8 form as the bytes that it would be."""
    return quote(value.encode("utf-8", "surrogatepass"), safe="")


def _addresses(path: str) -> Iterator[str]:
    names = re.findall(r"{\w+(?::\w+)?}", path)
    for value in TEXTS if names else ("",):
        filled = path
        for name in names:
            filled = filled.replace(name, _sent(value)[:1500] or "x")
        yield filled
    for value in TEXTS:
        yield f"{path.replace('{', '').replace('}', '')}?" + "&".join(f"{name}={_sent(value)}" for name in QUERIES)


def _fields() -> Iterator[dict[str, str]]:
    """Forms that are strange throughout, and such that are strange in one field."""
    for value in TEXTS:
        yield dict.fromkeys(FIELDS, value) | {"attempt": "a"}
    for field in FIELDS:
        yield {"attempt": "a", "plan": "monthly", field: "a\0b"}


def _pages(shop: Shop, method: str) -> list[str]:
    """All addresses for people. Signing out would end the session that the others need; the way to Whop's own portal
    asks Whop, which is not there, each time."""
    facts = walk(list(shop.app.routes), shop.app.bare_routes)
    found = {fact.path for fact in facts if fact.method == method}
    return sorted(
        p for p in found if not p.startswith(("/api/", "/health", "/metrics", "/openapi")) and p != "/sign-out"
    )


async def _customer(shop: Shop) -> Person:
    kim = await shop.sign_up()
    await shop.subscribe(kim.user_id)
    await shop.invoice(kim.user_id)
    await shop.refund(kim.user_id, await shop.payment(kim.user_id))
    return kim


@pytest.mark.long
@pytest.mark.parametrize("part", range(3))
async def test_no_page_falls_over(unlimited: Shop, part: int) -> None:
    kim = await _customer(unlimited)
    pages = _pages(unlimited, "GET")
    assert len(pages) >= 15
    fallen = []
    for address in itertools.chain.from_iterable(_addresses(path) for path in pages[part::3]):
        answer = await kim.http.get(address, headers=HTML)
        assert "<script>alert(1)" not in answer.text
        if answer.status_code >= 500 and answer.status_code not in (502, 503):
            fallen.append(f"{answer.status_code} {address[:200]}")
    assert fallen == []


@pytest.mark.long
async def test_no_form_falls_over(unlimited: Shop) -> None:
    kim = await _customer(unlimited)
    fallen = []
    for path in _pages(unlimited, "POST"):
        if path in ("/sign-in", "/sign-up"):
            continue  # each would end the session that the others need
        for fields in _fields():
            address = re.sub(r"{\w+(:\w+)?}", "x", path)
            body = "&".join(f"{name}={_sent(value)}" for name, value in fields.items())
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = await kim.http.post(address, content=body.encode(), headers=HTML | kim.headers() | kind)
            if answer.status_code >= 500 and answer.status_code not in (502, 503):
                fallen.append(f"{answer.status_code} {address} {body[:200]}")
    assert fallen == []


@pytest.mark.long
async def test_signing_in_and_up_takes_anything(unlimited: Shop) -> None:
    """Each try comes from a browser of its own with a page's own token, as a form would be sent."""
    for path, field in itertools.product(("/sign-in", "/sign-up"), ("email", "password", "name", "next", "terms")):
        for value in TEXTS:
            unlimited.clock.advance(timedelta(minutes=3))
            browser = unlimited.client()
            page = await browser.get(path, headers=HTML)
            token = re.findall(r'name="csrf_token" value="([^"]+)"', page.text)[0]
            fields = {"email": "kim", "password": "p", "name": "n", "csrf_token": token}
            body = "&".join(f"{name}={_sent(text)}" for name, text in (fields | {field: value}).items())
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = await browser.post(path, content=body.encode(), headers=HTML | kind)
            assert answer.status_code == 422, (path, field, value[:40], answer.status_code)
