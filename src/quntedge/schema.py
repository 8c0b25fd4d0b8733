"""All tables in one place, for migrations and for the tests that walk them."""

from sqlalchemy import MetaData

from quntedge.accounts import models as accounts
from quntedge.catalog import models as catalog
from quntedge.checkout import models as checkout
from quntedge.invoices import models as invoices
from quntedge.notifications import models as notifications
from quntedge.payments import models as payments
from quntedge.processes import models as processes
from quntedge.refunds import models as refunds
from quntedge.storage import vault
from quntedge.storage.base import Base
from quntedge.subscriptions import models as subscriptions
from quntedge.webhooks import difference
from quntedge.webhooks import models as webhooks

MODELS = (
    accounts,
    catalog,
    checkout,
    difference,
    invoices,
    notifications,
    payments,
    processes,
    refunds,
    subscriptions,
    vault,
    webhooks,
)


def all_tables() -> MetaData:
    """The tables as the models describe them."""
    return Base.metadata
