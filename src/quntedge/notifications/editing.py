"""Mails as staff word them: an edited version stands over the packaged one until it is taken back."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import func, select, text, update

from quntedge.audit.writing import audit_done
from quntedge.kit.ids import new_id
from quntedge.notifications.errors import MailNotFound, TemplateChanged, TemplateRefused
from quntedge.notifications.models import MailTemplate
from quntedge.notifications.render import MailRenderer, Words
from quntedge.notifications.rules import Kind
from quntedge.notifications.samples import samples
from quntedge.notifications.sandbox import Fault
from quntedge.notifications.wording import PACKAGED, Wording, packaged
from quntedge.notifications.words import LANGUAGES
from quntedge.storage.unit_of_work import UnitOfWork

# Whoever changes one mail waits for whoever is changing it: versions are counted without gaps.
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('mail_template:' || :kind || ':' || :locale, 0))")


@dataclass(frozen=True, slots=True)
class Edition:
    """A wording and where it comes from. What is packaged was made by nobody in particular."""

    wording: Wording
    active: bool
    created_at: datetime | None = None
    created_by: str | None = None
    switched_at: datetime | None = None
    switched_by: str | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """One shape of a mail, filled in. `shape` says in words what is special about it."""

    shape: str
    words: Words


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody wants a mail to say. What is None stays as it is."""

    subject: str | None = None
    text: str | None = None
    html: str | None = None

    def over(self, base: Wording) -> Wording:
        """The wording that comes of it; it has no identity yet."""
        return replace(
            base,
            id=None,
            subject=base.subject if self.subject is None else self.subject.strip("\r\n"),
            text=base.text if self.text is None else _lines(self.text).strip("\n"),
            html=base.html if self.html is None else _lines(self.html),
        )


class MailTemplateService:
    """Reads and changes how mails are worded. Methods work in the caller's unit of work and never commit."""

    def __init__(self, renderer: MailRenderer) -> None:
        self.renderer = renderer

    async def overview(self, unit: UnitOfWork) -> list[Edition]:
        """The wording in use of every mail in every language."""
        edited = {(row.kind, row.locale): row for row in await _active(unit)}
        return [_edition(edited.get((kind.value, language)), kind, language) for kind in Kind for language in LANGUAGES]

    async def current(self, unit: UnitOfWork, kind: str, locale: str) -> Edition:
        """The wording in use. Raises `MailNotFound`."""
        known, language = _named(kind, locale)
        rows = [row for row in await _active(unit, [known.value]) if row.locale == language]
        return _edition(rows[0] if rows else None, known, language)

    async def history(self, unit: UnitOfWork, kind: str, locale: str) -> list[Edition]:
        """Every version there was, the newest first, and last the packaged one. Raises `MailNotFound`."""
        known, language = _named(kind, locale)
        found = await unit.session.scalars(
            select(MailTemplate)
            .where(MailTemplate.kind == known.value, MailTemplate.locale == language)
            .order_by(MailTemplate.version.desc())
        )
        editions = [_edition(row, known, language) for row in found]
        is_edited = any(edition.active for edition in editions)
        return [*editions, Edition(packaged(known, language), active=not is_edited)]

    async def save(
        self, unit: UnitOfWork, kind: str, locale: str, draft: Draft, *, by: str, based_on: int | None = None
    ) -> Edition:
        """Puts a new version into use, over the one in use now. What says nothing new makes no version.

        `based_on` is the version the writer has read, if they want to be told when it is not the one in use any more.
        Raises `MailNotFound`, `TemplateRefused`, `TemplateChanged`.
        """
        known, language = _named(kind, locale)
        await self._lock(unit, known, language)
        before = await self.current(unit, known, language)
        _require(before, based_on)
        wanted = draft.over(before.wording)
        if wanted == replace(before.wording, id=None):
            return before
        faults = self.renderer.faults(wanted)
        if faults:
            raise TemplateRefused(faults, self.renderer.names())
        newest = await unit.session.scalar(
            select(func.max(MailTemplate.version)).where(
                MailTemplate.kind == known.value, MailTemplate.locale == language
            )
        )
        now = unit.clock.now()
        await _retire(unit, known, language, by)
        row = MailTemplate(
            id=new_id("mtp", now),
            kind=known.value,
            locale=language,
            version=(newest or 0) + 1,
            subject=wanted.subject,
            text=wanted.text,
            html=wanted.html,
            active=True,
            created_at=now,
            created_by=by,
            switched_at=now,
            switched_by=by,
        )
        unit.session.add(row)
        audit_done(unit, "mail_template.save", "mail_template", known.value, locale=language, version=row.version)
        await unit.session.flush()
        return _edition(row, known, language)

    async def activate(self, unit: UnitOfWork, kind: str, locale: str, version: int, *, by: str) -> Edition:
        """Goes back to a version there was, or to the packaged one (`PACKAGED`). What is in use already stays.

        A version that an older release could use is tried again: a name it needs may be gone. Raises `MailNotFound`,
        `TemplateRefused`.
        """
        known, language = _named(kind, locale)
        await self._lock(unit, known, language)
        wanted = next(
            (edition for edition in await self.history(unit, known, language) if edition.wording.version == version),
            None,
        )
        if wanted is None:
            raise MailNotFound(f"There is no version {version} of {known} in {language}; its history lists them.")
        if wanted.active:
            return wanted
        faults = self.renderer.faults(wanted.wording)
        if faults:
            raise TemplateRefused(faults, self.renderer.names())
        await _retire(unit, known, language, by)
        audit_done(unit, "mail_template.activate", "mail_template", known.value, locale=language, version=version)
        if version != PACKAGED:
            await unit.session.execute(
                update(MailTemplate)
                .where(MailTemplate.id == wanted.wording.id)
                .values(active=True, switched_at=unit.clock.now(), switched_by=by)
            )
        return await self.current(unit, known, language)

    async def faulty(self, unit: UnitOfWork) -> list[tuple[Edition, list[Fault]]]:
        """The wordings in use that this release cannot use, each with what is wrong with it."""
        checked = [(edition, self.renderer.faults(edition.wording)) for edition in await self.overview(unit)]
        return [(edition, faults) for edition, faults in checked if faults]

    def show(self, wording: Wording) -> list[Shown]:
        """The mail in each of its shapes; those that read the same are shown once. Raises `TemplateRefused`."""
        faults = self.renderer.faults(wording)
        if faults:
            raise TemplateRefused(faults, self.renderer.names())
        shown: dict[Words, str] = {}
        for sample in samples(wording.kind, wording.language):
            shown.setdefault(self.renderer.words(sample.letter, wording), sample.shape)
        return [Shown(shape, words) for words, shape in shown.items()]

    async def _lock(self, unit: UnitOfWork, kind: Kind, language: str) -> None:
        await (await unit.connection()).execute(_LOCK, {"kind": kind.value, "locale": language})


async def in_use(unit: UnitOfWork, kinds: Collection[str]) -> dict[tuple[str, str], Wording]:
    """Staff's wordings of these kinds of mail that are in use, by kind and language, in one query."""
    rows = await _active(unit, kinds)
    known = [row for row in rows if row.kind in {kind.value for kind in Kind}]
    return {(row.kind, row.locale): _wording(row) for row in known}


async def _active(unit: UnitOfWork, kinds: Collection[str] | None = None) -> Sequence[MailTemplate]:
    query = select(MailTemplate).where(MailTemplate.active)
    if kinds is not None:
        query = query.where(MailTemplate.kind.in_(sorted(set(kinds))))
    return (await unit.session.scalars(query.execution_options(populate_existing=True))).all()


async def _retire(unit: UnitOfWork, kind: Kind, language: str, by: str) -> None:
    """Takes the version in use out of use."""
    await unit.session.execute(
        update(MailTemplate)
        .where(MailTemplate.kind == kind.value, MailTemplate.locale == language, MailTemplate.active)
        .values(active=False, switched_at=unit.clock.now(), switched_by=by)
    )


def _named(kind: str, locale: str) -> tuple[Kind, str]:
    """Raises `MailNotFound`."""
    known = next((known for known in Kind if known.value == kind), None)
    if known is None:
        raise MailNotFound(f"There is no kind of mail {kind!r}. There are: {', '.join(Kind)}.")
    if locale not in LANGUAGES:
        raise MailNotFound(f"Mails are not written in {locale!r}. There are: {', '.join(LANGUAGES)}.")
    return known, locale


def _require(before: Edition, based_on: int | None) -> None:
    if based_on is not None and based_on != before.wording.version:
        raise TemplateChanged(
            f"Version {before.wording.version} is in use by now, not {based_on}. Read it and decide again."
        )


def _edition(row: MailTemplate | None, kind: Kind, language: str) -> Edition:
    if row is None:
        return Edition(packaged(kind, language), active=True)
    return Edition(_wording(row), row.active, row.created_at, row.created_by, row.switched_at, row.switched_by)


def _wording(row: MailTemplate) -> Wording:
    return Wording(Kind(row.kind), row.locale, row.version, row.subject, row.text, row.html, row.id)


def _lines(source: str) -> str:
    return source.replace("\r\n", "\n").replace("\r", "\n")
