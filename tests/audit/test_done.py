"""What staff do to the catalogue, promotions, mails and keys is written down with what was done."""

from typing import Any

import httpx

from quntedge.accounts.api_keys import SCOPES
from tests.edge.fixtures import shop
from tests.edge.shop import Shop

__all__ = ["shop"]


async def rows(tool: httpx.AsyncClient, **params: str) -> list[tuple[Any, ...]]:
    """Rows of the log, the earliest first: act, subject, who, details."""
    page = (await tool.get("/api/admin/audit", params={"limit": "100"} | params)).json()["data"]
    return [(row["act"], row["subject"], row["holder"], row["details"]) for row in page[::-1]]


async def test_what_staff_do_over_http(shop: Shop) -> None:
    async with shop.units() as unit:
        key, token = await shop.services.api_keys.create(unit, "tool", SCOPES, holder="kim")
        await unit.commit()
    tool = shop.client(headers={"Authorization": f"Bearer {token}"})

    body = {"name": "Spring", "percent_bp": 1000, "codes": ["SPRING-26"]}
    made = await tool.put("/api/admin/promotions/spring", json=body)
    assert made.status_code == 200, made.text
    again = await tool.post(
        "/api/admin/promotions/spring/codes", json={"count": 3}, headers={"Idempotency-Key": "codes-1"}
    )
    assert again.status_code == 200, again.text
    for _ in range(2):
        assert (await tool.post("/api/admin/promotions/spring/archive")).status_code == 200
    refused = await tool.post(
        "/api/admin/promotions/spring/codes", json={"count": 3}, headers={"Idempotency-Key": "codes-2"}
    )
    assert refused.status_code == 409
    saved = await tool.put("/api/admin/mails/renewal_paid/fr", json={"subject": "Un"})
    assert saved.status_code == 200, saved.text
    assert (await tool.delete("/api/admin/mails/renewal_paid/fr")).status_code == 200
    async with shop.units() as unit:
        await shop.services.api_keys.revoke(unit, key.id)
        await shop.services.api_keys.revoke(unit, key.id)
        await unit.commit()

    reader = shop.client(headers={"Authorization": f"Bearer {await shop.api_key('audit:read')}"})
    told = await rows(reader, actor=key.id)
    batch = again.json()["batch"]
    assert told == [
        ("promotion.save", "spring", "staff:kim", {"version": 1, "codes_added": 1}),
        ("promotion.add_codes", "spring", "staff:kim", {"batch": batch, "codes_added": 3}),
        ("promotion.archive", "spring", "staff:kim", {}),
        ("promotion.add_codes", "spring", "staff:kim", {}),
        ("mail_template.save", "renewal_paid", "staff:kim", {"locale": "fr", "version": 1}),
        ("mail_template.activate", "renewal_paid", "staff:kim", {"locale": "fr", "version": 0}),
    ]
    assert [(row[0], row[3]["holder"]) for row in await rows(reader, subject=key.id)] == [
        ("api_key.create", "kim"),
        ("api_key.revoke", "kim"),
    ]
    (applied,) = await rows(reader, act="catalog.apply")
    assert applied[3]["count"] == len(applied[3]["changes"])
    assert any("monthly" in change for change in applied[3]["changes"])
