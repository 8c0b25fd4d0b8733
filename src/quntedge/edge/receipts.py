"""The gateway's receipt of a payment: a link that is asked for when somebody wants to see it, and kept nowhere."""

from quntedge.edge.services import Services
from quntedge.gateway.errors import GatewayNotFound, GatewayRejected
from quntedge.kit.errors import Conflict
from quntedge.payments.models import PaymentTransaction


class NoReceipt(Conflict):
    """Nothing was paid yet, or the gateway has no receipt of it."""

    code = "no_receipt"
    title = "There is no receipt of this payment"


async def receipt_url(services: Services, payment: PaymentTransaction) -> str:
    """Where the receipt can be fetched for a while, by anybody who has the address.

    To be called with no transaction open. Raises `NoReceipt`, and the gateway's errors when it cannot be asked now.
    """
    if payment.paid_at is None:
        raise NoReceipt("A receipt exists once the payment has gone through.")
    try:
        link = await services.gateway.receipt(payment.whop_payment_id)
    except (GatewayNotFound, GatewayRejected) as error:
        raise NoReceipt("The payment provider has no receipt of this payment. Write to us and we help.") from error
    return link.url
