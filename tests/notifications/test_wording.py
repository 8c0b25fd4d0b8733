"""Which templates staff may use, and what they are told about those that cannot be used."""

from dataclasses import replace
from pathlib import Path
from string import ascii_letters

import pytest

from quntedge.notifications.render import MailRenderer
from quntedge.notifications.rules import Kind
from quntedge.notifications.samples import BARE, COMPLETE, samples
from quntedge.notifications.sandbox import LIMITS, Fault
from quntedge.notifications.wording import PARTS, TEMPLATES, Wording, packaged
from quntedge.notifications.words import LANGUAGES

EVERY_MAIL = [(kind, language) for kind in Kind for language in LANGUAGES]
RENEWAL = packaged(Kind.RENEWAL_PAID, "en")


def faults(renderer: MailRenderer, **parts: str) -> list[str]:
    return [str(fault) for fault in renderer.faults(replace(RENEWAL, id=None, **parts))]


@pytest.mark.parametrize(("kind", "language"), EVERY_MAIL)
def test_every_packaged_mail_could_have_been_written_by_staff(
    renderer: MailRenderer, kind: Kind, language: str
) -> None:
    assert renderer.faults(packaged(kind, language)) == []


def test_there_is_no_template_that_belongs_to_no_mail() -> None:
    expected = {f"{kind}.{language}.{form}" for kind, language in EVERY_MAIL for form in ("txt", "html")}
    assert {path.name for path in Path(TEMPLATES).iterdir()} == expected | {"layout.html", "gallery.html"}


@pytest.mark.parametrize("kind", list(Kind))
def test_the_samples_of_a_mail_differ_in_what_is_known(kind: Kind) -> None:
    found = {sample.shape: sample.letter for sample in samples(kind, "fr")}
    assert found[COMPLETE].amount is not None
    assert found["without amount"] == replace(found[COMPLETE], amount=None)
    assert found[BARE].amount is found[BARE].period_end is found[BARE].name is None
    assert {(letter.kind, letter.locale) for letter in found.values()} == {(kind.value, "fr")}


@pytest.mark.parametrize(
    ("source", "line", "message"),
    [
        ("Hello\n\n{{ amout }}", 3, "there is no name “amout”. There are: "),
        ("{% if amount %}", 1, "Unexpected end of template"),
        ("a\n{{ amount + 1 }}", 2, "(in the sample “everything is known”)"),
        ("{{ amount ~ amount.year }}", 1, "has no attribute 'year'"),
        ("You paid {{ amount }}.", None, "“None” stands in it (in the sample “without amount”): “You paid None.”"),
        ("{% if period_end %}{{ period_end }}{% endif %}", None, "nothing is left of it"),
        ("   \n", None, "nothing is left of it"),
        ("{{ ''.__class__.__mro__ }}", 1, "is unsafe"),
        ("{{ plan_name.upper() }}", 1, "“call” cannot be used here"),
        ("{{ plan_name | center(1000000) }}", 1, "there is no filter “center”"),
        ("{{ plan_name | safe }}", 1, "there is no filter “safe”"),
        ("{% if plan_name is filter %}x{% endif %}", 1, "there is no test “filter”"),
        ("{{ plan_name * 1000000000 }}", 1, "“mul” cannot be used here"),
        ("{% include 'layout.html' %}", 1, "“include” cannot be used here"),
        ("{% import 'layout.html' as x %}", 1, "“import” cannot be used here"),
        ("{% macro m() %}{{ m() }}{% endmacro %}", 1, "“macro” cannot be used here"),
        ("{% extends 'layout.html' %}", 1, "“extends” cannot be used here"),
        ("{% for c in name %}{% for d in name %}x{% endfor %}{% endfor %}", 1, "a loop cannot stand in another loop"),
        ("{% for c in 'abcdefgh' %}x{% endfor %}", 1, "a loop can only go through one of the names"),
        ("{% for c in name recursive %}x{% endfor %}", 1, "a loop cannot stand in another loop"),
        ("{% set a = name %}{% set b = a ~ a %}{{ b }}", 1, "cannot be made of another one"),
        ("{% set a = name %}{% set b %}{{ a }}{{ a }}{% endset %}{{ b }}", 1, "cannot be made of another one"),
        ("{{ range }}", 1, "there is no name “range”"),
        ("{{ self }}", 1, "there is no name “self”"),
        ("a\n\x00", 2, "it holds a control character (U+0000)"),
        ("a\ud800", 1, "it holds a control character (U+D800)"),
        ("x" * (LIMITS["text"] + 1), None, "at most 20,000 can be used"),
    ],
)
def test_a_text_that_cannot_be_used(renderer: MailRenderer, source: str, line: int | None, message: str) -> None:
    (fault, *_) = renderer.faults(replace(RENEWAL, id=None, text=source))
    assert (fault.part, fault.line) == ("text", line)
    assert message in fault.message


def test_each_part_is_tried(renderer: MailRenderer) -> None:
    found = faults(renderer, subject="{{ x }}", text="\n{{ y }}", html="\n\n{{ z }}")
    assert [fault.partition(" there is no name")[0] for fault in found] == [
        "subject:", "text, line 2:", "html, line 3:",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "source",
    [
        "<p>{{ plan_name }}</p>",
        "{% extends 'layout.html' %}{% set lang, tone, heading, preheader = 'en', 'good', 'x', 'y' %}"
        "{% set facts = [('Plan', plan_name)] %}{% set action = 'z' %}"
        "{% block body %}{{ name or 'you' }}{% endblock %}",
        "{% for letter in plan_name if letter != 'x' %}{{ loop.index }}{% else %}none{% endfor %}",
        "{{ amount | default('nothing', true) | upper | trim }}",
        "{% if amount is none or plan_name in ('Pro', 'Max') %}a{% else %}b{% endif %}",
    ],
)
def test_html_that_can_be_used(renderer: MailRenderer, source: str) -> None:
    assert faults(renderer, html=source) == []


def test_only_the_frame_can_be_extended(renderer: MailRenderer) -> None:
    (fault, *_) = faults(renderer, html="{% extends '../../secrets.html' %}")
    assert fault == "html, line 1: only “layout.html” can be extended."
    (fault, *_) = faults(renderer, html="{% extends plan_name %}")
    assert fault == "html, line 1: only “layout.html” can be extended."


def test_a_name_cannot_bring_html_into_a_mail_of_staff(renderer: MailRenderer) -> None:
    wording = replace(RENEWAL, id=None, html="<p>{{ name }}</p>", text="{{ name }}")
    letter = replace(samples(Kind.RENEWAL_PAID, "en")[0].letter, name="<b>Kim</b>\n{{ amount }}")
    words = renderer.words(letter, wording)
    assert words.html == "<p>&lt;b&gt;Kim&lt;/b&gt; {{ amount }}</p>"
    assert words.text == "<b>Kim</b> {{ amount }}\n"


def test_a_subject_is_one_line(renderer: MailRenderer) -> None:
    wording = replace(RENEWAL, id=None, subject="a\nBcc: eve@example.org")
    assert renderer.words(samples(Kind.RENEWAL_PAID, "en")[0].letter, wording).subject == "a Bcc: eve@example.org"


def test_a_fault_reads_as_a_sentence() -> None:
    assert str(Fault("html", 3, "no.")) == "html, line 3: no."
    assert str(Fault("text", None, "no.")) == "text: no."
    assert str(Fault("subject", 1, "no.")) == "subject: no.", "a subject has one line only"


def test_the_parts_of_a_wording_by_name() -> None:
    wording = Wording(Kind.RENEWAL_PAID, "en", 1, "s", "t", "h")
    assert [wording.part(name) for name in PARTS] == ["s", "t", "h"]


def test_a_template_at_the_limit_is_rendered_in_no_time_worth_naming(renderer: MailRenderer) -> None:
    # The largest output that the rules let a template make: its whole length for each letter of the longest name.
    body = "x" * (LIMITS["text"] - 40)
    longest = renderer.words(
        replace(samples(Kind.RENEWAL_PAID, "en")[0].letter, plan_name=ascii_letters * 4),
        replace(RENEWAL, id=None, text=f"{{% for c in plan_name %}}{body}{{% endfor %}}"),
    )
    assert len(longest.text) <= LIMITS["text"] * 4 * len(ascii_letters)
