"""Where a buyer is sent after the checkout."""

from quntedge.gateway.emulator.state.money_records import SetupIntent
from quntedge.gateway.emulator.state.records import Payment


def return_url(redirect_url: str | None, payment: Payment) -> str | None:
    """Where the buyer is sent, with Whop's query parameters. They prove nothing: anybody can type them."""
    status = {"paid": "success", "pending": "processing"}.get(payment.status, "error")
    query = f"payment_id={payment.id}&receipt_id={payment.id}&status={status}&checkout_status={status}"
    return None if redirect_url is None else _with_query(redirect_url, query)


def setup_return_url(redirect_url: str | None, intent: SetupIntent) -> str | None:
    """Where the buyer is sent after saving a card."""
    query = f"setup_intent_id={intent.id}&status={'succeeded' if intent.status == 'succeeded' else 'failed'}"
    return None if redirect_url is None else _with_query(redirect_url, query)


def _with_query(url: str, query: str) -> str:
    address, hash_mark, fragment = url.partition("#")
    return f"{address}{'&' if '?' in address else '?'}{query}{hash_mark}{fragment}"
