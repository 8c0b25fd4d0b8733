"""Disputes: reading them, sending evidence, conceding. What is final at Whop is final here."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from whop_sdk.disputes.types.update_disputes_request_evidence import UpdateDisputesRequestEvidence

from quntedge.gateway.acts import DisputeActs
from quntedge.gateway.disputed import (
    AttachedDocument,
    CaseSnapshot,
    DisputeAlertSnapshot,
    DisputeReads,
    DisputeSnapshot,
    EvidenceTexts,
)
from quntedge.gateway.whop.acts_disputes_files import EvidenceFileCalls
from quntedge.gateway.whop.calls import MAX_CRAWL_PAGES, PAGE_SIZE
from quntedge.gateway.whop.shapes_dispute import alert_snapshot, case_snapshot, dispute_snapshot


class DisputeCalls(EvidenceFileCalls, DisputeReads, DisputeActs):
    """Disputes, alerts and complaints."""

    async def dispute(self, dispute_id: str) -> DisputeSnapshot:
        """The dispute as it is now."""
        return await self._read(
            "disputes.retrieve",
            lambda sdk, options: sdk.disputes.retrieve(dispute_id, request_options=options),
            dispute_snapshot,
        )

    async def dispute_alert(self, alert_id: str) -> DisputeAlertSnapshot:
        """The alert as it is now."""
        return await self._read(
            "dispute_alerts.retrieve",
            lambda sdk, options: sdk.dispute_alerts.retrieve(alert_id, request_options=options),
            alert_snapshot,
        )

    async def resolution_case(self, case_id: str) -> CaseSnapshot:
        """The complaint as it is now."""
        return await self._read(
            "resolution_center_cases.retrieve",
            lambda sdk, options: sdk.resolution_center_cases.retrieve(case_id, request_options=options),
            case_snapshot,
        )

    async def disputes_since(self, created_after: datetime) -> AsyncIterator[list[DisputeSnapshot]]:
        """Pages of the disputes opened after this time, inquiries included, newest first."""
        pages = self._each_page(
            "disputes.list",
            lambda sdk, options, after: sdk.disputes.list(
                account_id=self._settings.account_id,
                created_after=created_after.isoformat(),
                first=PAGE_SIZE,
                after=after,
                request_options=options,
            ),
            MAX_CRAWL_PAGES,
        )
        async for page in pages:
            yield [self._understood("disputes.list", dispute_snapshot, item) for item in page]

    async def dispute_alerts_since(self, created_after: datetime) -> AsyncIterator[list[DisputeAlertSnapshot]]:
        """Pages of the alerts received after this time."""
        pages = self._each_page(
            "dispute_alerts.list",
            lambda sdk, options, after: sdk.dispute_alerts.list(
                account_id=self._settings.account_id,
                created_after=created_after.isoformat(),
                first=PAGE_SIZE,
                after=after,
                request_options=options,
            ),
            MAX_CRAWL_PAGES,
        )
        async for page in pages:
            yield [self._understood("dispute_alerts.list", alert_snapshot, item) for item in page]

    async def fill_evidence(
        self, dispute_id: str, evidence: EvidenceTexts, documents: Sequence[AttachedDocument] = ()
    ) -> DisputeSnapshot:
        """Fills in the texts that are given and leaves the others; doing it again changes nothing. `documents`, where
        there are any, take the place of all that hang there.

        Raises `GatewayRejected` once the evidence was sent or the time for it is over.
        """
        # Only what is given: at Whop a null clears a place that somebody may have filled in by hand.
        given: dict[str, object] = dict(evidence.given())
        if documents:
            given["documents"] = [{"id": one.file_id, "document_type": one.document_type} for one in documents]
        texts = UpdateDisputesRequestEvidence.model_validate(given)
        return await self._write(
            "disputes.update",
            lambda sdk, options: sdk.disputes.update(dispute_id, evidence=texts, request_options=options),
            dispute_snapshot,
            None,
        )

    async def submit_evidence(self, dispute_id: str, *, idempotency_key: str) -> DisputeSnapshot:
        """Sends the evidence to the bank, once and for all.

        Raises `GatewayRejected` when there is none, when it was sent, and when the time for it is over.
        """
        return await self._write(
            "disputes.submit",
            lambda sdk, options: sdk.disputes.submit(dispute_id, request_options=options),
            dispute_snapshot,
            idempotency_key,
        )

    async def accept_dispute(self, dispute_id: str, *, idempotency_key: str) -> DisputeSnapshot:
        """Concedes a chargeback: lost, for good. Raises `GatewayRejected` where nothing can be conceded (any more)."""
        return await self._write(
            "disputes.accept",
            lambda sdk, options: sdk.disputes.accept(dispute_id, request_options=options),
            dispute_snapshot,
            idempotency_key,
        )
