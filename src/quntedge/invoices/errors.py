"""What can be wrong with asking for an invoice."""

from quntedge.kit.errors import Conflict, NotFound, Unavailable


class DocumentNotFound(NotFound):
    """No such invoice or credit note, or one of somebody else: the answer is the same."""

    code = "document_not_found"
    title = "There is no such document"


class InvoiceNotNumbered(Conflict):
    """An invoice is a document from the moment it is paid, when it gets its number."""

    code = "invoice_not_numbered"
    title = "This invoice has no number yet"


class DocumentFailed(Unavailable):
    """The file could not be made. It can be asked for again; nothing was changed."""

    code = "document_failed"
    title = "The document could not be made"
