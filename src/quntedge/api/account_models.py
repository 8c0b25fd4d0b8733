"""What the account routes send and read."""

from datetime import datetime

from pydantic import ConfigDict, Field, StrictBool

from quntedge.accounts.people import Person
from quntedge.api.models import In, Out


class SignUpIn(In):
    """A new account."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "email": "ada@example.com",
                    "password": "three quiet green lamps",
                    "name": "Ada Example",
                    "locale": "en",
                    "accept_terms": True,
                }
            ]
        },
    )

    email: str = Field(max_length=1024)
    password: str = Field(max_length=1024)
    name: str = Field(max_length=1024)
    locale: str = Field("en", max_length=35)
    accept_terms: StrictBool


class SignInIn(In):
    """Credentials."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"email": "ada@example.com", "password": "three quiet green lamps"}]},
    )

    email: str = Field(max_length=1024)
    password: str = Field(max_length=1024)


class AccountChangeIn(In):
    """What a customer tells of themselves. `time_zone` null goes back to the installation's."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"time_zone": "Europe/Paris"}]})

    time_zone: str | None = Field(max_length=64)


class SessionOut(Out):
    """A new session; its token is in the cookie. Send `csrf_token` as X-CSRF-Token with whatever changes something."""

    user: str
    csrf_token: str
    expires_at: datetime


class MeOut(Out):
    """The signed-in customer."""

    user: str
    email: str | None
    name: str | None
    locale: str
    time_zone: str | None
    csrf_token: str

    @classmethod
    def of(cls, person: Person, csrf_token: str) -> "MeOut":
        """A person and the token of their session."""
        return cls(
            user=person.user_id,
            email=person.email,
            name=person.name,
            locale=person.locale,
            time_zone=person.time_zone,
            csrf_token=csrf_token,
        )
