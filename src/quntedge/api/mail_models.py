"""What the API sends and reads about the wording of mails."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from quntedge.api.models import In, Out
from quntedge.notifications.editing import Draft, Edition, Shown

_EXAMPLE = "Payment received for {{ plan_name }}"
_FULL = "A template (Jinja). Left out, it stays as it is."

Template = Annotated[str | None, Field(max_length=100_000, description=_FULL)]


class MailSummaryOut(Out):
    """A mail in one language, and the wording in use. `version` 0 is the one that came with this release."""

    kind: str = Field(examples=["renewal_paid"])
    locale: str = Field(examples=["fr"])
    version: int = Field(examples=[0])
    subject: str = Field(examples=[_EXAMPLE])
    changed_at: datetime | None
    changed_by: str | None = Field(examples=["service:key_01k4a2f0e8f9xa3s6m1q2r7v5z"])

    @classmethod
    def of(cls, edition: Edition) -> "MailSummaryOut":
        """The wording in use."""
        wording = edition.wording
        return cls(
            kind=wording.kind.value,
            locale=wording.language,
            version=wording.version,
            subject=wording.subject,
            changed_at=edition.switched_at,
            changed_by=edition.switched_by,
        )


class MailListOut(Out):
    """Every mail in every language."""

    data: list[MailSummaryOut]


class MailVersionOut(Out):
    """One version of a mail's wording, and whether it is in use."""

    version: int = Field(examples=[3])
    active: bool
    created_at: datetime | None
    created_by: str | None
    subject: str
    text: str
    html: str

    @classmethod
    def of(cls, edition: Edition) -> "MailVersionOut":
        """One entry of the history."""
        wording = edition.wording
        return cls(
            version=wording.version,
            active=edition.active,
            created_at=edition.created_at,
            created_by=edition.created_by,
            subject=wording.subject,
            text=wording.text,
            html=wording.html,
        )


class MailOut(Out):
    """A mail in one language: the wording in use, the names its templates may use, and every version there was."""

    kind: str = Field(examples=["renewal_paid"])
    locale: str = Field(examples=["fr"])
    version: int = Field(examples=[3])
    subject: str
    text: str
    html: str
    names: list[str] = Field(examples=[["amount", "name", "plan_name"]])
    history: list[MailVersionOut]

    @classmethod
    def of(cls, edition: Edition, names: tuple[str, ...], history: list[Edition]) -> "MailOut":
        """The wording in use, with what an editor needs around it."""
        wording = edition.wording
        return cls(
            kind=wording.kind.value,
            locale=wording.language,
            version=wording.version,
            subject=wording.subject,
            text=wording.text,
            html=wording.html,
            names=list(names),
            history=[MailVersionOut.of(entry) for entry in history],
        )


class MailDraftIn(In):
    """What a mail is to say. What is left out stays as it is."""

    subject: Template = Field(default=None, examples=[_EXAMPLE])
    text: Template = None
    html: Template = None

    def draft(self) -> Draft:
        """The draft."""
        return Draft(self.subject, self.text, self.html)


class MailIn(MailDraftIn):
    """A new version. With `based_on` nothing is changed unless that version is still the one in use."""

    based_on: int | None = Field(default=None, ge=0, le=2**31 - 1, examples=[2])


class MailVersionIn(In):
    """The version to go back to; 0 is the one that came with this release."""

    version: int = Field(ge=0, le=2**31 - 1, examples=[1])


class MailShapeOut(Out):
    """A mail as it is read, for one of the shapes it can have."""

    shape: str = Field(examples=["without amount"])
    subject: str
    text: str
    html: str

    @classmethod
    def of(cls, shown: Shown) -> "MailShapeOut":
        """One shape, filled in with sample values."""
        return cls(shape=shown.shape, subject=shown.words.subject, text=shown.words.text, html=shown.words.html)


class MailPreviewOut(Out):
    """The mail in each of its shapes; those that read the same are shown once."""

    data: list[MailShapeOut]
