"""Signing up, in and out; sessions; and the tokens that protect forms."""

import base64
import hmac
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, exists, select, update
from sqlalchemy.dialects.postgresql import insert

from quntedge.accounts import rules
from quntedge.accounts.attempts import SignInAttempts
from quntedge.accounts.errors import EmailTaken, WrongCredentials
from quntedge.accounts.models import AppUser, UserSession
from quntedge.accounts.passwords import Passwords
from quntedge.audit.acting import identify
from quntedge.audit.rules import Actor, ActorKind
from quntedge.kit.crypto import random_token, token_digest
from quntedge.kit.ids import new_id
from quntedge.storage.sealed import PersonCipher
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.storage.vault import DataKey, Vault

_TOKEN_BYTES = 32
_TOKEN_LENGTH = 43
_LONGEST_TYPED = 1024


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A new session. `token` goes into the cookie and is kept nowhere."""

    user_id: str
    token: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class SessionUser:
    """The customer behind a session token."""

    user_id: str
    session_digest: bytes
    locale: str = "en"
    time_zone: str | None = None


class AccountService:
    """Customers and their sessions. Methods work in the caller's unit of work and never commit."""

    def __init__(self, vault: Vault, secret_key: str, passwords: Passwords | None = None) -> None:
        self._vault = vault
        self._passwords = passwords or Passwords()
        self.attempts = SignInAttempts(secret_key)
        self._csrf_key = hmac.digest(secret_key.encode(), b"quntedge/csrf", "sha256")

    async def sign_up(
        self,
        unit: UnitOfWork,
        email: str,
        password: str,
        name: str,
        locale: str,
        accept_terms: bool,
        ip: str | None,
    ) -> SignedIn:
        """Makes an account and signs it in. Raises `InvalidAccount` for what cannot be taken, `EmailTaken`.

        That an address is taken is said openly, because the form is useless otherwise; the edge limits how often it
        can be asked. After `EmailTaken` the unit of work must not be committed.
        """
        account = rules.check_sign_up(email, password, name, locale, accept_terms)
        index = self._vault.email_index(account.email)
        taken = await unit.session.scalar(select(AppUser.id).where(AppUser.email_index == index))
        if taken is not None:
            raise EmailTaken
        password_hash = await self._passwords.hash(account.password)
        now = unit.clock.now()
        user_id = new_id("usr", now)
        cipher = (await self._vault.create(unit.session, [user_id], now))[user_id]
        made = await unit.session.scalar(
            insert(AppUser)
            .values(
                id=user_id,
                email=cipher.seal("app_user", "email", user_id, account.email),
                email_index=index,
                mailbox_index=self._vault.mailbox_index(rules.mailbox_of(account.email)),
                name=cipher.seal("app_user", "name", user_id, account.name),
                password_hash=password_hash,
                locale=account.locale,
                terms_accepted_at=now,
                created_at=now,
            )
            # Two sign-ups with one address at the same time: the constraint decides, the loser is told.
            .on_conflict_do_nothing(index_elements=[AppUser.email_index])
            .returning(AppUser.id)
        )
        if made is None:
            raise EmailTaken
        return await self._open_session(unit, user_id, cipher, ip)

    async def set_time_zone(self, unit: UnitOfWork, user_id: str, name: str | None) -> None:
        """Where the customer's day begins; None forgets it. Raises `InvalidAccount` for an unknown zone."""
        if name is not None:
            rules.check_time_zone(name)
        await unit.session.execute(update(AppUser).where(AppUser.id == user_id).values(time_zone=name))

    async def sign_in(
        self, unit: UnitOfWork, email: str, password: str, ip: str | None, *, replacing: str | None = None
    ) -> SignedIn:
        """Opens a new session with a new token. Raises `WrongCredentials`, the same whichever of the two is wrong.

        `replacing` is the token the browser came with, if any: its session ends, so that a planted token never
        becomes a signed-in one and a second sign-in leaves no forgotten session behind.
        """
        if len(email) > _LONGEST_TYPED or len(password) > _LONGEST_TYPED:
            # Nobody can have signed up with these; hashing them would only give an attacker our time.
            raise WrongCredentials
        index = self._vault.email_index(rules.normal_email(email))
        found = (
            await unit.session.execute(select(AppUser.id, AppUser.password_hash).where(AppUser.email_index == index))
        ).one_or_none()
        stored = found.password_hash if found else None
        fits = await self._passwords.verify(stored, password)
        if found is None or stored is None or not fits:
            raise WrongCredentials
        if self._passwords.is_outdated(stored):
            fresh = await self._passwords.hash(password)
            await unit.session.execute(
                # Only if it is still the hash that was checked: a password changed meanwhile must not come back.
                update(AppUser)
                .where(AppUser.id == found.id, AppUser.password_hash == stored)
                .values(password_hash=fresh)
            )
        if replacing is not None:
            await self.sign_out(unit, replacing)
        cipher = await self._vault.cipher(unit.session, found.id)
        return await self._open_session(unit, found.id, cipher, ip)

    async def sign_out(self, unit: UnitOfWork, token: str) -> None:
        """Ends the session of this token; a token without a session is as good as signed out."""
        await unit.session.execute(delete(UserSession).where(UserSession.token_digest == token_digest(token)))

    async def session(self, unit: UnitOfWork, token: str | None) -> SessionUser | None:
        """Who is signed in with this token, and acts from here on; None for nobody, an ended or an expired session.

        A session lives 35 days after it was last seen and 90 days at most. Being seen is written down at most every
        10 minutes, in the caller's unit of work.
        """
        if token is None or len(token) != _TOKEN_LENGTH:
            return None
        now = unit.clock.now()
        digest = token_digest(token)
        row = (
            await unit.session.execute(
                select(
                    UserSession.user_id,
                    UserSession.created_at,
                    UserSession.last_seen_at,
                    AppUser.locale,
                    AppUser.time_zone,
                )
                .join(AppUser, AppUser.id == UserSession.user_id)
                .where(UserSession.token_digest == digest, UserSession.expires_at > now)
            )
        ).one_or_none()
        if row is None:
            return None
        if now - row.last_seen_at >= rules.SEEN_INTERVAL:
            await self._seen(unit, digest, row.created_at, now)
        identify(Actor(ActorKind.CUSTOMER, row.user_id))
        return SessionUser(row.user_id, digest, row.locale, row.time_zone)

    async def set_locale(self, unit: UnitOfWork, user_id: str, locale: str) -> None:
        """Changes the language of a customer's pages and mails. Raises `InvalidAccount` for one we do not speak."""
        rules.check_locale(locale)
        await unit.session.execute(update(AppUser).where(AppUser.id == user_id).values(locale=locale))

    async def purge_sessions(self, unit: UnitOfWork) -> int:
        """Deletes the expired sessions, and counters of attempts; says how many there were."""
        attempts = await self.attempts.purge(unit)
        gone = await unit.session.execute(
            delete(UserSession).where(UserSession.expires_at <= unit.clock.now()).returning(UserSession.user_id)
        )
        return attempts + len(gone.all())

    async def index_mailboxes(self, unit: UnitOfWork, limit: int = 200) -> int:
        """Fills in the mailbox index of customers who signed up before there was one; how many it did now.

        Addresses are encrypted, so no statement can do it. What belongs to an erased person stays as it is.
        """
        readable = exists().where(DataKey.person_id == AppUser.id, DataKey.wrapped.is_not(None))
        missing = await unit.session.scalars(
            select(AppUser)
            .where(AppUser.mailbox_index.is_(None), AppUser.email.is_not(None), readable)
            .order_by(AppUser.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        users = missing.all()
        ciphers = await self._vault.ciphers(unit.session, [user.id for user in users])
        for user in users:
            if user.email is not None:
                address = ciphers[user.id].open("app_user", "email", user.id, user.email)
                user.mailbox_index = self._vault.mailbox_index(rules.mailbox_of(address))
        return len(users)

    def csrf_token(self, token: str) -> str:
        """The form token that belongs to a session token. Nothing of the session can be read from it."""
        return self._csrf("session", token)

    def csrf_token_for(self, binding: str) -> str:
        """The form token of a visitor who is not signed in, bound to the random text of their `visitor` cookie."""
        return self._csrf("visitor", binding)

    def check_csrf(self, token: str, presented: str | None) -> bool:
        """Tells whether a form token belongs to the session token, in constant time."""
        return _equal(self.csrf_token(token), presented)

    def check_csrf_for(self, binding: str, presented: str | None) -> bool:
        """Tells whether a form token belongs to the visitor cookie, in constant time."""
        return _equal(self.csrf_token_for(binding), presented)

    def _csrf(self, kind: str, bound_to: str) -> str:
        message = f"{kind}:{bound_to}".encode("utf-8", "surrogatepass")
        return base64.urlsafe_b64encode(hmac.digest(self._csrf_key, message, "sha256")).decode().rstrip("=")

    async def _open_session(self, unit: UnitOfWork, user_id: str, cipher: PersonCipher, ip: str | None) -> SignedIn:
        now = unit.clock.now()
        token = random_token(_TOKEN_BYTES)
        digest = token_digest(token)
        expires_at = rules.session_expiry(now, now)
        await unit.session.execute(
            insert(UserSession).values(
                token_digest=digest,
                user_id=user_id,
                ip=None if ip is None else cipher.seal("user_session", "ip", digest.hex(), ip),
                created_at=now,
                last_seen_at=now,
                expires_at=expires_at,
            )
        )
        return SignedIn(user_id, token, expires_at)

    async def _seen(self, unit: UnitOfWork, digest: bytes, created_at: datetime, now: datetime) -> None:
        # Parallel requests of one browser must not queue for this row: whoever finds it locked leaves it to the other.
        free = select(UserSession.token_digest).where(UserSession.token_digest == digest)
        await unit.session.execute(
            update(UserSession)
            .where(UserSession.token_digest.in_(free.with_for_update(skip_locked=True)))
            .values(last_seen_at=now, expires_at=rules.session_expiry(created_at, now))
        )


def _equal(expected: str, presented: str | None) -> bool:
    return presented is not None and hmac.compare_digest(expected.encode(), presented.encode("utf-8", "surrogatepass"))
