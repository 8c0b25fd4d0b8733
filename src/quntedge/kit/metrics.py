"""The counters and histograms of this process, in one registry."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()

WEBHOOKS_RECEIVED = Counter("quntedge_webhooks_received", "Deliveries that reached the endpoint.", registry=REGISTRY)
WEBHOOKS_VERIFIED = Counter("quntedge_webhooks_verified", "Deliveries whose signature was good.", registry=REGISTRY)
WEBHOOKS_STORED = Counter(
    "quntedge_webhooks_stored", "Verified deliveries by what became of them.", ["result"], registry=REGISTRY
)
WEBHOOKS_REJECTED = Counter(
    "quntedge_webhooks_rejected", "Deliveries that were refused, by reason.", ["reason"], registry=REGISTRY
)
WEBHOOKS_APPLIED = Counter(
    "quntedge_webhooks_applied", "Events the worker finished with, by end state.", ["state"], registry=REGISTRY
)
WEBHOOK_LAG = Histogram(
    "quntedge_webhook_lag_seconds",
    "Time from the durable receipt of a delivery to the commit of its effects.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3600),
    registry=REGISTRY,
)
WEBHOOKS_WAITING = Gauge("quntedge_webhooks_waiting", "Events waiting to be applied, now.", registry=REGISTRY)
WEBHOOK_OLDEST = Gauge(
    "quntedge_webhook_oldest_waiting_seconds", "Age of the oldest event that is due and not applied.", registry=REGISTRY
)
WEBHOOKS_DEAD = Gauge("quntedge_webhooks_dead", "Events in the dead letter state, now.", registry=REGISTRY)
WEBHOOKS_QUARANTINED = Gauge(
    "quntedge_webhooks_quarantined", "Deliveries kept because they cannot be used, now.", registry=REGISTRY
)
GATEWAY_CALLS = Counter(
    "quntedge_gateway_calls", "Calls to the payment gateway.", ["operation", "outcome"], registry=REGISTRY
)
GATEWAY_DIFFERENCES = Counter(
    "quntedge_gateway_differences", "Differences that reconciliation found, by kind.", ["kind"], registry=REGISTRY
)
MONEY_DIFFERENCES = Counter(
    "quntedge_money_differences",
    "Differences of money between the gateway, our records and the ledger that were found, by cause.",
    ["cause"],
    registry=REGISTRY,
)
MONEY_DIFFERENCES_OPEN = Gauge(
    "quntedge_money_differences_open",
    "Differences of money that nobody has explained, when this process last compared.",
    registry=REGISTRY,
)
INVOICE_DIFFERENCES = Counter(
    "quntedge_invoice_differences",
    "Invoices whose payment was lowered by another amount than was agreed, by what it was for.",
    ["by"],
    registry=REGISTRY,
)
RENEWAL_GAPS = Counter(
    "quntedge_renewal_gaps",
    "Renewals that nobody told us of in time, by what Whop said when asked: seen_now or not_seen.",
    ["outcome"],
    registry=REGISTRY,
)
WEBHOOK_ENDPOINT_HEALTHY = Gauge(
    "quntedge_webhook_endpoint_healthy",
    "1 while Whop delivers to our endpoint; 0 while it is missing, disabled or failing; NaN when nobody could ask.",
    registry=REGISTRY,
)
WEBHOOK_ENDPOINT_HEALTHY.set(float("nan"))
MAILS = Counter("quntedge_mails", "Mails by what became of them.", ["outcome"], registry=REGISTRY)
JOBS_FAILED = Gauge("quntedge_jobs_failed", "Jobs that failed for good in the last 90 days, now.", registry=REGISTRY)
TRIAL_SIGNALS = Counter(
    "quntedge_trial_signals", "Signs that somebody tries a trial more than once, by kind.", ["kind"], registry=REGISTRY
)
DISPUTE_ALARMS = Counter(
    "quntedge_dispute_alarms", "Alarms about contested payments that were raised, by kind.", ["kind"], registry=REGISTRY
)
NEEDS_ATTENTION = Gauge(
    "quntedge_needs_attention", "Things that go on no further without a person, now.", ["kind"], registry=REGISTRY
)
DISPUTES_OPEN = Gauge("quntedge_disputes_open", "Disputes and inquiries nobody has ruled upon, now.", registry=REGISTRY)
DISPUTES_DUE_SOON = Gauge(
    "quntedge_disputes_due_soon",
    "Disputes without evidence whose deadline is less than 48 hours away.",
    registry=REGISTRY,
)
AUDIT_UNSEALED_OLDEST = Gauge(
    "quntedge_audit_unsealed_oldest_seconds",
    "Age of the oldest row of the audit log that has no place in the chain yet.",
    registry=REGISTRY,
)
DISPUTE_ALARMS_OPEN = Gauge(
    "quntedge_dispute_alarms_open", "Alarms about contested payments that nobody has resolved, now.", registry=REGISTRY
)

COUNTED_IN_THE_DATABASE = (
    *(WEBHOOKS_WAITING, WEBHOOK_OLDEST, WEBHOOKS_DEAD, WEBHOOKS_QUARANTINED),
    *(DISPUTES_OPEN, DISPUTES_DUE_SOON, DISPUTE_ALARMS_OPEN, AUDIT_UNSEALED_OLDEST, JOBS_FAILED),
)
"""Gauges that are measured when somebody asks. Where they cannot be they say NaN: not known."""


def forget_the_database() -> None:
    """Says of everything that is counted in the database that it is not known."""
    for gauge in COUNTED_IN_THE_DATABASE:
        gauge.set(float("nan"))
    NEEDS_ATTENTION.clear()
