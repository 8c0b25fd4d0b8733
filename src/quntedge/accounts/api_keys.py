"""Keys with which the servers of host applications call us."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from quntedge.accounts import rules
from quntedge.accounts.errors import ApiKeyNotFound, InvalidApiKey, InvalidApiKeyRequest, MissingScope
from quntedge.accounts.models import ApiKey
from quntedge.audit.acting import identify
from quntedge.audit.rules import Actor, ActorKind
from quntedge.audit.writing import audit_done
from quntedge.kit.crypto import random_token, token_digest
from quntedge.kit.errors import FieldError
from quntedge.kit.ids import is_id, new_id
from quntedge.storage.unit_of_work import UnitOfWork

DEFAULT_SCOPES = ("access:read", "subscription:read")
"""What the server of a host application needs. The rest are for the tools of those who run the installation."""
SCOPES = (
    *DEFAULT_SCOPES,
    "mails:read",
    "mails:write",
    "catalog:read",
    "catalog:write",
    "ledger:read",
    "reconciliation:read",
    "reconciliation:write",
    "payments:read",
    "invoices:read",
    "promotions:read",
    "promotions:write",
    "refunds:read",
    "refunds:request",
    "refunds:approve",
    "disputes:read",
    "disputes:write",
    "migrations:read",
    "migrations:write",
    "audit:read",
)
PREFIX = "qk_"
_TOKEN_BYTES = 32
_TOKEN_LENGTH = len(PREFIX) + 43
_HINT_LENGTH = len(PREFIX) + 4


@dataclass(frozen=True, slots=True)
class ApiKeyCaller:
    """The service behind an API key. `holder` is the person who answers for it, where it was given one."""

    key_id: str
    scopes: frozenset[str]
    holder: str | None = None

    @property
    def person(self) -> str:
        """Whom approvals compare: the holder, so that two keys of one person are one; else the key itself."""
        return rules.staff(self.holder) if self.holder else f"service:{self.key_id}"


class ApiKeyService:
    """Makes, lists, revokes and checks API keys. Works in the caller's unit of work and never commits."""

    async def create(
        self, unit: UnitOfWork, name: str, scopes: Sequence[str], *, holder: str | None = None
    ) -> tuple[ApiKey, str]:
        """Makes a key; the text is shown once and never again. Raises `InvalidApiKeyRequest`.

        `holder` is the short name of whoever will use it, as for a sign-in. It stays with the key for ever: a key that
        changes hands is made anew.
        """
        title = rules.normal_text(name)
        errors: list[FieldError] = []
        problem = rules.name_problem(title)
        if problem is not None:
            errors.append({"field": "name", "message": problem})
        unknown = rules.unknown_scopes(scopes, SCOPES)
        if unknown or not scopes:
            what = f"Unknown: {', '.join(unknown)}. " if unknown else "Name at least one scope. "
            errors.append({"field": "scopes", "message": f"{what}Known scopes: {', '.join(SCOPES)}."})
        person = rules.holder_name(holder) if holder is not None else None
        problem = rules.holder_problem(person) if person is not None else None
        if problem is not None:
            errors.append({"field": "holder", "message": problem})
        if errors:
            raise InvalidApiKeyRequest(" ".join(error["message"] for error in errors), errors=errors)
        now = unit.clock.now()
        token = PREFIX + random_token(_TOKEN_BYTES)
        key = ApiKey(
            id=new_id("key", now),
            name=title,
            hint=token[:_HINT_LENGTH] + "…",
            token_digest=token_digest(token),
            scopes=sorted(set(scopes)),
            holder=person,
            created_at=now,
        )
        unit.session.add(key)
        audit_done(unit, "api_key.create", "api_key", key.id, scopes=key.scopes, holder=key.holder)
        await unit.session.flush()
        return key, token

    async def revoke(self, unit: UnitOfWork, key_id: str) -> ApiKey:
        """Ends a key at once; ending it again changes nothing. Raises `ApiKeyNotFound`."""
        key = await unit.session.get(ApiKey, key_id, with_for_update=True) if is_id(key_id, "key") else None
        if key is None:
            raise ApiKeyNotFound(f"There is no API key {key_id!r}; the list of keys shows their ids.")
        if key.revoked_at is None:
            key.revoked_at = unit.clock.now()
            audit_done(unit, "api_key.revoke", "api_key", key.id, holder=key.holder)
            await unit.session.flush()
        return key

    async def authenticate(self, unit: UnitOfWork, token: str, scope: str) -> ApiKeyCaller:
        """The caller behind a key's text, who acts from here on.

        Raises `InvalidApiKey`, and `MissingScope` for a key without `scope`.
        """
        found = None
        if looks_like_key(token):
            found = (
                await unit.session.execute(
                    select(ApiKey.id, ApiKey.scopes, ApiKey.holder).where(
                        ApiKey.token_digest == token_digest(token), ApiKey.revoked_at.is_(None)
                    )
                )
            ).one_or_none()
        if found is None:
            raise InvalidApiKey("The API key is unknown or was revoked. Send a live one as: Authorization: Bearer qk_…")
        caller = ApiKeyCaller(found.id, frozenset(found.scopes), found.holder)
        identify(Actor(ActorKind.API_KEY, caller.key_id, caller.person if caller.holder else None))
        if scope not in caller.scopes:
            raise MissingScope(f"The API key lacks the scope {scope}. Make a key that has it.")
        return caller

    async def list(self, unit: UnitOfWork) -> Sequence[ApiKey]:
        """All keys, the revoked ones too, newest first."""
        return (await unit.session.scalars(select(ApiKey).order_by(ApiKey.created_at.desc(), ApiKey.id.desc()))).all()


def looks_like_key(token: str) -> bool:
    """Tells whether a text has the form of an API key, which spares a look-up for everything else."""
    return token.startswith(PREFIX) and len(token) == _TOKEN_LENGTH and token.isascii()
