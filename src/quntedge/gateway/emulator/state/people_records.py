"""Records about people and programs: who may ask what, who signed in where, who hands a membership on."""

from dataclasses import dataclass, field
from datetime import datetime

from quntedge.gateway.emulator.state.records import Record


@dataclass(slots=True)
class ApiKey(Record):
    """A further key of the account that holds some permissions only. `id` is public, `secret` is what is sent."""

    name: str
    secret: str
    permissions: list[str] = field(default_factory=list)
    expires_at: datetime | None = None


@dataclass(slots=True)
class Transfer(Record):
    """A link that hands a membership on, once. Its id is the last part of the link."""

    membership_id: str
    used_at: datetime | None = None


@dataclass(slots=True)
class Application(Record):
    """A program people sign in to. `id` is its `client_id`; without `secret` it is a public client."""

    name: str
    redirect_uris: list[str] = field(default_factory=list)
    secret: str | None = None


@dataclass(slots=True)
class Grant(Record):
    """What a person let an application know. `created_at` is when the person signed in."""

    application_id: str
    user_id: str
    scopes: list[str]
    revoked_at: datetime | None = None


@dataclass(slots=True)
class SignInCode(Record):
    """What the browser carries from the authorize page to the application; its id is the code itself."""

    grant_id: str
    redirect_uri: str
    challenge: str
    nonce: str | None
    expires_at: datetime
    spent_at: datetime | None = None


@dataclass(slots=True)
class RefreshToken(Record):
    """Good for one renewal; its id is the token itself."""

    grant_id: str
    spent_at: datetime | None = None
