"""`quntedge mails`."""

import asyncio
import socket
import sys
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from quntedge.notifications.rules import Kind
from quntedge.notifications.wording import packaged
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from tests.cli.conftest import Cli

pytestmark = pytest.mark.usefixtures("configured")

RENEWAL = ("renewal_paid", "--locale", "fr")


async def test_a_mail_is_reworded_listed_and_taken_back(cli: Cli, tmp_path: Path) -> None:
    words = tmp_path / "mail.txt"
    words.write_text("Merci pour {{ plan_name }}.\n", encoding="utf-8")
    edited = await cli("mails", "edit", *RENEWAL, "--subject", "Merci", "--text-file", str(words))
    assert edited.stdout == "renewal_paid (fr): version 1 is in use.\n", edited.output
    shown = await cli("mails", "show", *RENEWAL)
    assert shown.stdout == "Subject: Merci\n\nMerci pour {{ plan_name }}.\n"
    assert "plan_name" in shown.stderr
    html = await cli("mails", "show", *RENEWAL, "--html")
    assert html.stdout.strip() == packaged(Kind.RENEWAL_PAID, "fr").html.strip()
    listed = [line.split() for line in (await cli("mails", "list")).stdout.splitlines()]
    assert [line[:3] for line in listed if line[1] == "fr" and line[2] == "1"] == [["renewal_paid", "fr", "1"]]
    reset = await cli("mails", "reset", *RENEWAL)
    assert reset.stdout == "renewal_paid (fr): version packaged is in use.\n"
    back = await cli("mails", "reset", *RENEWAL, "--version", "1")
    assert "version 1 is in use" in back.stdout
    history = (await cli("mails", "history", *RENEWAL)).stdout.splitlines()
    assert [line.split()[:2] for line in history[1:]] == [["1", "yes"], ["0", "–"]]


async def test_what_cannot_be_used_is_refused_with_its_line(cli: Cli, tmp_path: Path) -> None:
    words = tmp_path / "mail.txt"
    words.write_text("Hello\n{{ nickname }}", encoding="utf-8")
    refused = await cli("mails", "edit", *RENEWAL, "--text-file", str(words))
    assert refused.exit_code == 1
    assert refused.stderr.startswith("Error: text: line 2: there is no name “nickname”. There are: ")
    words.write_bytes(b"\xff\xfe")
    assert "is not UTF-8 text" in (await cli("mails", "edit", *RENEWAL, "--text-file", str(words))).stderr


@pytest.fixture
def editor(tmp_path: Path) -> Path:
    """An editor that writes what the next of its lines says: one line, a blank one, and the text."""
    script = tmp_path / "editor.py"
    script.write_text(
        "import pathlib, sys\n"
        "plan = pathlib.Path(__file__).with_name('plan')\n"
        "now, _, later = plan.read_text().partition('\\n')\n"
        "plan.write_text(later)\n"
        "pathlib.Path(sys.argv[1]).write_text(now.replace('|', '\\n'))\n",
        encoding="utf-8",
    )
    return script


async def test_an_editor_is_opened_again_until_the_mail_can_be_used(cli: Cli, editor: Path) -> None:
    plan = editor.with_name("plan")
    plan.write_text("No subject\nSubject: A||{{ x }}\nSubject: B||Fine\n", encoding="utf-8")
    edited = await cli("mails", "edit", *RENEWAL, input="y\ny\n", EDITOR=f"{sys.executable} {editor}")
    assert edited.exit_code == 0, edited.output
    assert "The first line must be the subject" in edited.stderr
    assert "there is no name “x”" in edited.stderr
    assert (await cli("mails", "show", *RENEWAL)).stdout == "Subject: B\n\nFine\n"
    plan.write_text("{{ x }}\n", encoding="utf-8")
    given_up = await cli("mails", "edit", *RENEWAL, "--html", input="n\n", EDITOR=f"{sys.executable} {editor}")
    assert given_up.exit_code == 1
    assert "Version: 1." in (await cli("mails", "show", *RENEWAL)).stderr


async def test_without_an_editor_or_options_it_says_what_to_do(cli: Cli) -> None:
    nothing = await cli("mails", "edit", *RENEWAL, EDITOR="", VISUAL="")
    assert (nothing.exit_code, "Set EDITOR" in nothing.stderr) == (1, True)
    wrong = await cli("mails", "edit", *RENEWAL, EDITOR="/no/such/editor", VISUAL="", input="n\n")
    assert (wrong.exit_code, "did not start" in wrong.stderr) == (1, True)


async def test_all_mails_are_checked(cli: Cli, units: UnitOfWorkFactory) -> None:
    assert (await cli("mails", "check")).stdout == "Every mail can be written.\n"
    await cli("mails", "edit", *RENEWAL, "--subject", "Merci")
    async with units() as unit:
        await (await unit.connection()).execute(text("UPDATE mail_template SET subject = '{{ gone }}'"))
        await unit.commit()
    checked = await cli("mails", "check")
    assert checked.exit_code == 1
    assert checked.stdout.startswith("renewal_paid (fr): subject: there is no name “gone”.")


@pytest.mark.long
async def test_a_page_with_all_mails_is_written(cli: Cli, tmp_path: Path) -> None:
    page = tmp_path / "mails.html"
    written = await cli("mails", "preview", "-o", str(page))
    assert (written.exit_code, written.stdout) == (0, f"{page}\n")
    content = page.read_text(encoding="utf-8")
    for kind in Kind:
        assert f'id="{kind}-en"' in content
        assert f'id="{kind}-fr"' in content
    assert "<script" not in content
    draft = await cli("mails", "preview", *RENEWAL, "--subject", "Nouveau <b>{{ plan_name }}</b>", "-o", str(page))
    assert draft.exit_code == 0
    content = page.read_text(encoding="utf-8")
    assert "Nouveau &lt;b&gt;Pro&lt;/b&gt;" in content
    assert "Not saved" in content
    assert 'id="renewal_paid-en"' not in content


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["preview", "birthday", "-o", "x.html"], 1, "There is no such mail"),
        (["preview", "--subject", "x", "-o", "x.html"], 2, "say which mail the draft is of"),
        (["preview", *RENEWAL, "--subject", "{{ x }}", "-o", "x.html"], 1, "there is no name “x”"),
        (["preview", *RENEWAL, "-o", "/no/such/folder/x.html"], 1, "cannot be written"),
        (["show", "birthday"], 1, "There is no kind of mail 'birthday'"),
        (["reset", *RENEWAL, "--version", "9"], 1, "There is no version 9"),
    ],
)
async def test_what_is_asked_wrongly_gets_a_sentence(cli: Cli, arguments: list[str], code: int, words: str) -> None:
    answer = await cli("mails", *arguments)
    assert answer.exit_code == code
    assert words in answer.stderr


async def test_the_page_is_served_until_it_is_stopped(cli: Cli, configured: pytest.MonkeyPatch) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "quntedge", "mails", "preview", *RENEWAL, "--port", str(port)]
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(60), httpx.AsyncClient() as http:
            while True:
                try:
                    answer = await http.get(f"http://127.0.0.1:{port}/")
                    break
                except httpx.TransportError:
                    assert process.returncode is None
                    await asyncio.sleep(0.1)
        assert 'id="renewal_paid-fr"' in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    finally:
        process.terminate()
        await process.communicate()
    assert process.returncode == 0
