"""All tables in one place, for migrations and for the tests that walk them."""

from sqlalchemy import MetaData

from quntedge.access import models as access
from quntedge.accounts import models as accounts
from quntedge.audit import models as audit
from quntedge.bookkeeping import models as bookkeeping
from quntedge.cancellations import models as cancellations
from quntedge.catalog import models as catalog
from quntedge.checkout import models as checkout
from quntedge.disputes import models as disputes
from quntedge.dunning import models as dunning
from quntedge.invoices import models as invoices
from quntedge.ledger import models as ledger
from quntedge.methods import models as methods
from quntedge.notifications import models as notifications
from quntedge.pauses import models as pauses
from quntedge.payments import models as payments
from quntedge.plan_changes import models as plan_changes
from quntedge.plan_migrations import models as plan_migrations
from quntedge.processes import models as processes
from quntedge.promotions import models as promotions
from quntedge.reconciliation import models as reconciliation
from quntedge.refunds import models as refunds
from quntedge.storage import vault
from quntedge.storage.base import Base
from quntedge.subscriptions import models as subscriptions
from quntedge.trials import models as trials
from quntedge.webhooks import difference
from quntedge.webhooks import models as webhooks
from quntedge.webhooks.bodies import INBOX_KEYS

MODELS = (
    access,
    accounts,
    audit,
    bookkeeping,
    cancellations,
    catalog,
    checkout,
    difference,
    disputes,
    dunning,
    invoices,
    ledger,
    methods,
    notifications,
    pauses,
    payments,
    plan_changes,
    plan_migrations,
    processes,
    promotions,
    reconciliation,
    refunds,
    subscriptions,
    trials,
    vault,
    webhooks,
)

KEY_STORES = (vault.DATA_KEYS, vault.INDEX_KEYS, INBOX_KEYS)
"""Everything that the master keys of QUNTEDGE_ENCRYPTION_KEYS wrap."""


def all_tables() -> MetaData:
    """The tables as the models describe them."""
    return Base.metadata
