"""Every route names its caller."""

from quntedge.edge.callers import Csrf
from quntedge.edge.walk import walk
from tests.edge.shop import Shop


async def test_every_route_names_one_caller_and_its_stance_on_forged_requests(shop: Shop) -> None:
    facts = list(walk(list(shop.app.routes), shop.app.bare_routes))
    assert len(facts) >= 30
    assert [complaint for fact in facts if (complaint := fact.complaint())] == []


async def test_the_routes_of_the_contract_exist_and_name_the_right_callers(shop: Shop) -> None:
    found = {
        (fact.method, fact.path): fact.stamps[0].kind for fact in walk(list(shop.app.routes), shop.app.bare_routes)
    }
    expected = {
        ("GET", "/api/subscription/plans"): "anyone",
        ("GET", "/api/subscription"): "customer or service",
        ("GET", "/api/subscription/events"): "customer",
        ("GET", "/api/subscription/access"): "customer or service",
        ("GET", "/api/subscription/access/{feature}"): "customer or service",
        ("POST", "/api/subscription/access/check"): "service",
        ("GET", "/api/subscription/cancel/preview"): "customer",
        ("POST", "/api/subscription/cancel"): "customer",
        ("POST", "/api/subscription/cancel/offer"): "customer",
        ("POST", "/api/subscription/resume"): "customer",
        ("POST", "/api/subscription/withdraw/preview"): "customer",
        ("POST", "/api/subscription/withdraw"): "customer",
        ("POST", "/api/payment/checkout"): "customer",
        ("GET", "/api/payment/checkout/{checkout_id}"): "customer",
        ("GET", "/api/payment/transactions"): "customer",
        ("GET", "/api/payment/transactions/{transaction_id}"): "customer",
        ("GET", "/api/payment/invoices"): "customer",
        ("GET", "/api/payment/invoices/{invoice_id}"): "customer",
        ("GET", "/api/payment/refunds"): "customer",
        ("GET", "/api/whop/return"): "customer",
        ("POST", "/api/account/sign-up"): "anyone",
        ("POST", "/api/account/sign-in"): "anyone",
        ("POST", "/api/account/sign-out"): "customer",
        ("GET", "/api/account/me"): "customer",
        ("GET", "/health/live"): "anyone",
        ("GET", "/health/ready"): "anyone",
        ("GET", "/metrics"): "anyone",
        ("GET", "/openapi.json"): "anyone",
        ("POST", "/sign-in"): "visitor",
        ("POST", "/sign-up"): "visitor",
        ("POST", "/sign-out"): "customer",
        ("POST", "/checkout/start"): "customer",
        ("GET", "/billing"): "customer",
    }
    assert {key: found.get(key) for key in expected} == expected


async def test_unsafe_routes_for_anyone_read_json_only(shop: Shop) -> None:
    facts = [f for f in walk(list(shop.app.routes), shop.app.bare_routes) if f.method == "POST"]
    assert {f.path for f in facts if f.stamps[0].kind == "anyone"} == {"/api/account/sign-up", "/api/account/sign-in"}
    assert all(f.stamps[0].csrf is Csrf.JSON_ONLY for f in facts if f.stamps[0].kind == "anyone")
