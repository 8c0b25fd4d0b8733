"""What can be wrong with a question to the ledger."""

from quntedge.kit.errors import NotFound


class LedgerEntryNotFound(NotFound):
    """No such entry."""

    code = "ledger_entry_not_found"
    title = "There is no such ledger entry"
