"""What can be wrong with an edited mail."""

from collections.abc import Sequence

from quntedge.kit.errors import Conflict, Malformed, NotFound
from quntedge.notifications.sandbox import Fault


class MailNotFound(NotFound):
    """There is no mail of this kind in this language, or no version of it with this number."""

    code = "mail_template_not_found"
    title = "There is no such mail"


class TemplateRefused(Malformed):
    """A template cannot be used: it does not read, uses a name that does not exist, or fails for a sample letter.

    `errors` names each part (subject, text, html) with the line where it is known.
    """

    code = "mail_template_refused"
    title = "The template cannot be used"

    def __init__(self, faults: Sequence[Fault], names: Sequence[str]) -> None:
        """`names` are those a template may use."""
        lines = [{"field": fault.part, "message": _message(fault)} for fault in faults]
        super().__init__(
            " ".join(f"{line['field']}: {line['message']}" for line in lines),
            errors=[{"field": line["field"], "message": line["message"]} for line in lines],
            extra={"names": list(names)},
        )


class TemplateChanged(Conflict):
    """Somebody else has changed this mail since it was read."""

    code = "mail_template_changed"
    title = "The mail has been changed meanwhile"


def _message(fault: Fault) -> str:
    return fault.message if fault.line is None else f"line {fault.line}: {fault.message}"
