"""How often somebody may try to sign in or up: by their address, and for each e-mail address."""

from fastapi import Request

from quntedge.accounts.attempts import Quota
from quntedge.accounts.rules import normal_email
from quntedge.edge.limits import Limit
from quntedge.edge.services import services_of
from quntedge.storage.unit_of_work import UnitOfWork


async def count_attempt(request: Request, unit: UnitOfWork, email: str) -> None:
    """Counts an attempt, here and then for all web processes, and commits that. Raises `RateLimited`.

    E-mail addresses are counted by their blind index, so that none stays in memory.
    """
    services = services_of(request)
    mailbox = services.vault.email_index(normal_email(email)).hex()
    services.limits.hit(Limit.SIGN_IN_EMAIL, mailbox)
    client = services.clients.bucket(request.scope)
    whom = ((Limit.SIGN_IN.value, client), (Limit.SIGN_IN_EMAIL.value, mailbox))
    await services.accounts.attempts.count(unit, [Quota(r.name, who, r.amount, r.seconds) for r, who in whom])
    await unit.commit()
