"""API: disputes and dispute alerts."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.callers.credentials import credential_of
from quntedge.gateway.emulator.calls.requests import (
    PAGING,
    Fields,
    answer,
    check_query,
    find,
    many,
    page,
    read_time,
    world_of,
)
from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.life import disputes, files
from quntedge.gateway.emulator.shapes.disputes import ATTACHMENTS, TEXTS, DisputeShapes
from quntedge.gateway.emulator.state.file_records import STORAGE, StoredFile
from quntedge.gateway.emulator.state.money_records import Dispute, DisputeAlert
from quntedge.gateway.emulator.wire.errors import bad_request
from quntedge.gateway.emulator.wire.values import iso

STATUSES = (
    "needs_response",
    "warning_needs_response",
    "under_review",
    "warning_under_review",
    "won",
    "lost",
    "prevented",
    "warning_closed",
)
_DOCUMENT_TYPES = (
    "return_policy",
    "shipping_policy",
    "cancellation_policy",
    "terms_of_service",
    "physical_fulfillment",
    "customer_order_history",
    "product_image",
    "prior_transactions",
    "customer_session",
    "digital_fulfillment",
    "subscription",
    "customer_communication",
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_DOCUMENTS = 10
_LONGEST_TEXT = 20_000


def _shapes(request: Request) -> DisputeShapes:
    world = world_of(request)
    return DisputeShapes(world.config, world.store)


def _find(request: Request) -> Dispute:
    return find(world_of(request).store.tables.disputes, request, "Dispute")


def _show(request: Request, dispute: Dispute) -> Response:
    return answer(_shapes(request).dispute(dispute))


def _by_amount(record: Dispute | DisputeAlert) -> datetime:
    """Lists are sorted, and their cursors made, by instants: a cent is a microsecond after the epoch here."""
    return _EPOCH + timedelta(microseconds=record.amount.amount_minor)


def _wanted(request: Request) -> list[Dispute]:
    statuses, currencies = many(request, "status"), many(request, "currency")
    unknown = next((status for status in statuses if status not in STATUSES), None)
    if unknown is not None:
        raise bad_request(f"Unknown status `{unknown[:50]}`.")
    return [
        dispute
        for dispute in world_of(request).store.tables.disputes.values()
        if (not statuses or dispute.status in statuses) and (not currencies or dispute.amount.currency in currencies)
    ]


async def list_disputes(request: Request) -> Response:
    """GET /disputes."""
    check_query(request, (*PAGING, "status", "currency"))
    orders = {"amount": _by_amount, "evidence_due_at": lambda dispute: dispute.evidence_due_at or dispute.created_at}
    return page(request, _wanted(request), _shapes(request).dispute, orders)


async def summarize(request: Request) -> Response:
    """GET /disputes/summary: how many of the disputes that the list would return there are of each kind."""
    check_query(request, ("account_id", "groups", "status", "currency", "created_after", "created_before"))
    groups, query = many(request, "groups"), request.query_params
    if any(group not in ("status", "currency") for group in groups):
        raise bad_request("`groups` must be status or currency.")
    after, before = query.get("created_after"), query.get("created_before")
    earliest = None if after is None else read_time("created_after", after)
    latest = None if before is None else read_time("created_before", before)
    rows = [
        dispute
        for dispute in _wanted(request)
        if (earliest is None or dispute.created_at > earliest) and (latest is None or dispute.created_at < latest)
    ]
    counts: dict[str, dict[str, int]] = {
        "status": {status: sum(dispute.status == status for dispute in rows) for status in STATUSES},
        "currency": dict(Counter(dispute.amount.currency for dispute in rows)),
    }
    chosen = {name: counts[name] for name in counts if not groups or name in groups}
    return answer({"total": len(rows), "groups": chosen})


async def read_dispute(request: Request) -> Response:
    """GET /disputes/{id}."""
    return _show(request, _find(request))


async def change_dispute(request: Request) -> Response:
    """PATCH /disputes/{id}: only the parts of `evidence` that are given change; null clears."""
    world, fields = world_of(request), await Fields.of(request)
    dispute = _find(request)
    given = fields.object("evidence")
    fields.done()
    if given is None:
        return _show(request, dispute)
    evidence: dict[str, Any] = {}
    owner = credential_of(request).name
    for name in TEXTS:
        if given.has(name):
            evidence[name] = given.text(name, longest=_LONGEST_TEXT)
    for name in ATTACHMENTS:
        if given.has(name):
            evidence[name] = _attachment(world, given.object(name), owner)
    documents = _documents(world, given.objects("documents"), owner)
    given.done()
    disputes.change_evidence(world, dispute, world.now(), evidence, documents)
    return _show(request, dispute)


def _attachment(world: World, given: Fields | None, owner: str) -> dict[str, Any] | None:
    """A file uploaded before, in one of the fixed places."""
    if given is None:
        return None
    file = _file(world, given, owner, "An attachment")
    given.done()
    return {
        "id": file.id,
        "content_type": file.content_type,
        "filename": file.filename,
        "platform": False,
        "url": f"{world.config.public_base_url}{STORAGE}/files/{file.id}",
    }


def _file(world: World, given: Fields, owner: str, what: str) -> StoredFile:
    file_id, direct = given.text("id"), given.text("direct_upload_id")
    chosen = file_id or direct
    if chosen is None:
        raise bad_request(f"{what} needs the `id` of an uploaded file.")
    return files.attachable(world, chosen, owner)


def _documents(world: World, given: list[Fields] | None, owner: str) -> list[dict[str, Any]] | None:
    if given is None:
        return None
    if len(given) > _MOST_DOCUMENTS:
        raise bad_request(f"At most {_MOST_DOCUMENTS} documents can be attached.")
    found = [_document(world, one, owner) for one in given]
    files.check_total([world.store.tables.files[document["id"]] for document in found])
    return found


def _document(world: World, given: Fields, owner: str) -> dict[str, Any]:
    kind = given.choice("document_type", _DOCUMENT_TYPES, "")
    if not kind:
        raise bad_request("`document_type` is required.")
    file = _file(world, given, owner, "A document")
    given.done()
    return {
        "id": file.id,
        "object": "file",
        "content_type": file.content_type,
        "created_at": iso(file.created_at),
        "document_type": kind,
        "filename": file.filename,
        "removed_by_moderation": False,
        "size": file.size,
        "upload_status": "ready",
        "visibility": file.visibility,
    }


async def upload_evidence(request: Request) -> Response:
    """POST /disputes/{id}/upload_evidence: replaces all documents."""
    world, fields = world_of(request), await Fields.of(request)
    dispute = _find(request)
    documents = _documents(world, fields.objects("documents"), credential_of(request).name)
    fields.done()
    if documents is None:
        raise bad_request("`documents` is required.")
    disputes.change_evidence(world, dispute, world.now(), {}, documents)
    return _show(request, dispute)


async def submit(request: Request) -> Response:
    """POST /disputes/{id}/submit: sends the evidence, once."""
    world, fields = world_of(request), await Fields.of(request)
    dispute = _find(request)
    fields.done()
    disputes.submit(world, dispute, world.now())
    return _show(request, dispute)


async def accept(request: Request) -> Response:
    """POST /disputes/{id}/accept: concedes, for good."""
    world, fields = world_of(request), await Fields.of(request)
    dispute = _find(request)
    fields.done()
    disputes.accept(world, dispute, world.now())
    return _show(request, dispute)


async def list_alerts(request: Request) -> Response:
    """GET /dispute_alerts."""
    check_query(request, (*PAGING, "payment_id", "type"))
    payments, kinds = many(request, "payment_id"), many(request, "type")
    if any(kind not in disputes.ALERT_TYPES for kind in kinds):
        raise bad_request(f"`type` must be one of {', '.join(disputes.ALERT_TYPES)}.")
    rows = (
        alert
        for alert in world_of(request).store.tables.dispute_alerts.values()
        if (not payments or alert.payment_id in payments) and (not kinds or alert.type in kinds)
    )
    orders = {"amount": _by_amount, "reported_at": lambda alert: alert.reported_at}
    return page(request, rows, _shapes(request).alert, orders)


async def read_alert(request: Request) -> Response:
    """GET /dispute_alerts/{id}."""
    alert = find(world_of(request).store.tables.dispute_alerts, request, "Dispute alert")
    return answer(_shapes(request).alert(alert))


ROUTES = [
    Route("/disputes", list_disputes),
    Route("/disputes/summary", summarize),
    Route("/disputes/{id}", read_dispute),
    Route("/disputes/{id}", change_dispute, methods=["PATCH"]),
    Route("/disputes/{id}/upload_evidence", upload_evidence, methods=["POST"]),
    Route("/disputes/{id}/submit", submit, methods=["POST"]),
    Route("/disputes/{id}/accept", accept, methods=["POST"]),
    Route("/dispute_alerts", list_alerts),
    Route("/dispute_alerts/{id}", read_alert),
]
