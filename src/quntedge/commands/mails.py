"""The mails: how they are worded, changing that, and looking at the result."""

import os
import shlex
import subprocess
import tempfile
import webbrowser
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from quntedge.commands.errors import Explained
from quntedge.commands.output import CommandError, aside, complain, moment, out, require_free_port, table
from quntedge.commands.output import show as show_table
from quntedge.commands.running import opened, run, run_service
from quntedge.notifications.editing import Draft, Edition
from quntedge.notifications.errors import MailNotFound, TemplateRefused
from quntedge.notifications.gallery import POLICY, Hung, gallery
from quntedge.notifications.rules import Kind
from quntedge.notifications.wording import PACKAGED, Wording
from quntedge.notifications.words import LANGUAGES
from quntedge.wiring import Runtime

_BY = "cli"
_SUBJECT = "Subject: "

app = typer.Typer(cls=Explained, no_args_is_help=True, help="The mails that customers get: read, reword, preview.")

KindName = Annotated[str, typer.Argument(help="Kind of mail, as `list` shows it.")]
Locale = Annotated[str, typer.Option(help=f"One of {', '.join(LANGUAGES)}.")]
Subject = Annotated[str | None, typer.Option(help="The new subject.")]
TextFile = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="A file with the new text.")]
HtmlFile = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="A file with the new HTML.")]


@app.command("list")
def list_() -> None:
    """List every mail in every language, with the wording in use."""
    run(_list())


@app.command()
def show(
    kind: KindName,
    locale: Locale = "en",
    html: Annotated[bool, typer.Option("--html", help="Print the HTML instead of subject and text.")] = False,
) -> None:
    """Print the templates in use, and the names they may use."""
    run(_show(kind, locale, html))


@app.command()
def edit(
    kind: KindName,
    locale: Locale = "en",
    subject: Subject = None,
    text_file: TextFile = None,
    html_file: HtmlFile = None,
    html: Annotated[bool, typer.Option("--html", help="Open the HTML instead of subject and text.")] = False,
) -> None:
    """Reword a mail, by the options or in $EDITOR. It is tried with sample letters before anything changes."""
    draft = _draft(subject, text_file, html_file)
    if draft == Draft():
        run(_edit_by_hand(kind, locale, html))
    else:
        run(_save(kind, locale, draft))


@app.command()
def check() -> None:
    """Try every mail with sample letters. Exit code 1 when one cannot be written any more."""
    run(_check())


@app.command()
def preview(
    kind: Annotated[str | None, typer.Argument(help="Kind of mail; without it, all of them.")] = None,
    locale: Annotated[str | None, typer.Option(help=f"One of {', '.join(LANGUAGES)}; both by default.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", dir_okay=False, help="Write the page to this file.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Serve the page on this machine.")] = None,
    subject: Subject = None,
    text_file: TextFile = None,
    html_file: HtmlFile = None,
) -> None:
    """Show mails as their readers would see them: in the browser, in a file, or served until Ctrl-C.

    With a subject or files it shows what they would become, and changes nothing.
    """
    draft = _draft(subject, text_file, html_file)
    if draft != Draft() and (kind is None or locale is None):
        raise typer.BadParameter("say which mail the draft is of: KIND and --locale.")
    if port is not None:
        require_free_port("127.0.0.1", port, "--port")
        run_service(_serve(kind, locale, draft, port))
        return
    run(_write_page(kind, locale, draft, output))


@app.command()
def history(kind: KindName, locale: Locale = "en") -> None:
    """List the versions a mail has had, the newest first. Version 0 came with this release."""
    run(_history(kind, locale))


@app.command()
def reset(
    kind: KindName,
    locale: Locale = "en",
    version: Annotated[int, typer.Option(min=0, help="The version to go back to; 0 came with this release.")] = 0,
) -> None:
    """Go back to the packaged wording, or to an earlier version."""
    run(_reset(kind, locale, version))


async def _list() -> None:
    async with opened() as runtime, runtime.units() as unit:
        editions = await runtime.services.mails.overview(unit)
    shown = table("Kind", "Locale", "Version", "Changed (UTC)", "By", "Subject")
    for edition in editions:
        wording = edition.wording
        shown.add_row(
            wording.kind.value, wording.language, _version(wording), moment(edition.switched_at),
            edition.switched_by or "–", wording.subject,
        )  # fmt: skip
    show_table(shown)


def _version(wording: Wording) -> str:
    return "packaged" if wording.version == PACKAGED else str(wording.version)


async def _show(kind: str, locale: str, html: bool) -> None:
    async with opened() as runtime, runtime.units() as unit:
        edition = await runtime.services.mails.current(unit, kind, locale)
        names = runtime.services.mails.renderer.names()
    out().print(edition.wording.html if html else _as_text(edition.wording))
    aside(f"Version: {_version(edition.wording)}. Names to use: {', '.join(names)}.")


def _as_text(wording: Wording) -> str:
    return f"{_SUBJECT}{wording.subject}\n\n{wording.text}"


def _draft(subject: str | None, text_file: Path | None, html_file: Path | None) -> Draft:
    return Draft(subject, _read(text_file), _read(html_file))


def _read(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise CommandError(f"{file} is not UTF-8 text.") from None


async def _save(kind: str, locale: str, draft: Draft, based_on: int | None = None) -> None:
    async with opened("mail_template.save", "mail_template", kind) as runtime:
        _say(await _saved(runtime, kind, locale, draft, based_on))


async def _saved(runtime: Runtime, kind: str, locale: str, draft: Draft, based_on: int | None = None) -> Edition:
    async with runtime.units() as unit:
        edition = await runtime.services.mails.save(unit, kind, locale, draft, by=_BY, based_on=based_on)
        await unit.commit()
    return edition


def _say(edition: Edition) -> None:
    wording = edition.wording
    out().print(f"{wording.kind} ({wording.language}): version {_version(wording)} is in use.")


async def _edit_by_hand(kind: str, locale: str, html: bool) -> None:
    async with opened("mail_template.save", "mail_template", kind) as runtime:
        async with runtime.units() as unit:
            before = await runtime.services.mails.current(unit, kind, locale)
        source = before.wording.html if html else _as_text(before.wording)
        while True:
            # No transaction is open meanwhile: a person may think for hours.
            source = _in_editor(source, f"{kind}.{locale}.{'html' if html else 'txt'}")
            try:
                draft = Draft(html=source) if html else _from_text(source)
                _say(await _saved(runtime, kind, locale, draft, based_on=before.wording.version))
                return
            except (TemplateRefused, CommandError) as error:
                complain(str(error))
                if not typer.confirm("Edit it again? Otherwise what you wrote is lost."):
                    raise typer.Exit(1) from None


def _in_editor(source: str, name: str) -> str:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not editor:
        raise CommandError("Set EDITOR to the editor of your choice, or give --subject, --text-file or --html-file.")
    with tempfile.TemporaryDirectory(prefix="quntedge-mail-") as folder:
        file = Path(folder) / name
        file.write_text(source, encoding="utf-8")
        try:
            ended = subprocess.run([*shlex.split(editor), str(file)], check=False)
        except OSError as error:
            raise CommandError(f"The editor {editor!r} did not start: {error.strerror}.") from None
        if ended.returncode != 0:
            raise CommandError(f"The editor ended with exit code {ended.returncode}; nothing was changed.")
        return _read(file) or ""


def _from_text(source: str) -> Draft:
    first, _, text = source.partition("\n")
    if not first.startswith(_SUBJECT):
        raise CommandError(f"The first line must be the subject: {_SUBJECT}…")
    return Draft(subject=first.removeprefix(_SUBJECT), text=text)


async def _check() -> None:
    async with opened() as runtime, runtime.units() as unit:
        faulty = await runtime.services.mails.faulty(unit)
    for edition, faults in faulty:
        for fault in faults:
            out().print(f"{edition.wording.kind} ({edition.wording.language}): {fault}")
    if faulty:
        raise typer.Exit(1)
    out().print("Every mail can be written.")


async def _hung(runtime: Runtime, kind: str | None, locale: str | None, draft: Draft) -> list[Hung]:
    """The chosen mails with their shapes."""
    mails = runtime.services.mails
    async with runtime.units() as unit:
        editions = await mails.overview(unit)
    chosen = [
        edition for edition in editions
        if kind in (None, edition.wording.kind) and locale in (None, edition.wording.language)
    ]  # fmt: skip
    if not chosen:
        raise MailNotFound(f"There is no such mail. Kinds: {', '.join(Kind)}. Languages: {', '.join(LANGUAGES)}.")
    if draft != Draft():
        chosen = [Edition(draft.over(edition.wording), active=False) for edition in chosen]
    hung = []
    for edition in chosen:
        faults = mails.renderer.faults(edition.wording)
        shapes = [] if faults else mails.show(edition.wording)
        hung.append(Hung(edition, shapes, [str(fault) for fault in faults]))
    return hung


async def _write_page(kind: str | None, locale: str | None, draft: Draft, output: Path | None) -> None:
    async with opened() as runtime:
        hung = await _hung(runtime, kind, locale, draft)
        page = gallery(hung, runtime.settings.product_name)
    target = output or Path(tempfile.mkdtemp(prefix="quntedge-mails-")) / "mails.html"
    try:
        target.write_text(page, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{target} cannot be written: {error.strerror}.") from None
    out().print(str(target))
    for mail in hung:
        for fault in mail.faults:
            complain(f"{mail.edition.wording.kind} ({mail.edition.wording.language}): {fault}")
    if output is None and not webbrowser.open(target.as_uri()):
        aside("No browser could be opened: open the file yourself.")
    if any(mail.faults for mail in hung):
        raise typer.Exit(1)


async def _serve(kind: str | None, locale: str | None, draft: Draft, port: int) -> None:
    async with opened() as runtime:
        await _hung(runtime, kind, locale, draft)

        async def page(_request: Request) -> HTMLResponse:
            shown = gallery(await _hung(runtime, kind, locale, draft), runtime.settings.product_name)
            return HTMLResponse(shown, headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-store"})

        server = Starlette(routes=[Route("/", page)])
        aside(f"The mails are at http://127.0.0.1:{port}/ until Ctrl-C; a reload shows what has changed.")
        config = uvicorn.Config(server, host="127.0.0.1", port=port, log_config=None, server_header=False)
        await uvicorn.Server(config).serve()


async def _history(kind: str, locale: str) -> None:
    async with opened() as runtime, runtime.units() as unit:
        editions = await runtime.services.mails.history(unit, kind, locale)
    shown = table("Version", "In use", "Made (UTC)", "By", "Subject")
    for edition in editions:
        shown.add_row(
            str(edition.wording.version), "yes" if edition.active else "", moment(edition.created_at),
            edition.created_by or "–", edition.wording.subject,
        )  # fmt: skip
    show_table(shown)


async def _reset(kind: str, locale: str, version: int) -> None:
    async with opened("mail_template.activate", "mail_template", kind) as runtime, runtime.units() as unit:
        edition = await runtime.services.mails.activate(unit, kind, locale, version, by=_BY)
        await unit.commit()
    _say(edition)


def register(parent: typer.Typer) -> None:
    """Adds these commands."""
    parent.add_typer(app, name="mails")
