"""The file about a dispute as something to hand over: JSON, PDFs, and a ZIP of all. The same file, the same bytes."""

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib import resources
from typing import Any

import typst

from quntedge.disputes.evidence import DisputeFile, stamp
from quntedge.disputes.papers import Paper

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time a ZIP can hold; every entry bears it, so that the time of making leaves no trace."""
_READABLE = 0o644 << 16
_PARTS = (
    ("access-log.pdf", "digital_fulfillment", "Access log", ("access", "subscription")),
    ("mails.pdf", "customer_communication", "Mails to the customer", ("mails",)),
)
"""Name, what it proves, title, and the sections it holds."""


def as_json(file: DisputeFile) -> bytes:
    """For programs, and for Whop, which takes JSON as a document."""
    return json.dumps(_content(file), ensure_ascii=False, indent=2, sort_keys=True).encode()


def as_pdf(file: DisputeFile) -> bytes:
    """For people. Takes a moment of processor time: call it in a thread."""
    source = resources.files("quntedge.disputes").joinpath("evidence.typ").read_bytes()
    inputs = {"data": json.dumps(_content(file), ensure_ascii=False)}
    pdf = typst.compile(source, sys_inputs=inputs, format="pdf", ignore_system_fonts=True)
    if not isinstance(pdf, bytes):
        raise TypeError("typst makes one document")
    return pdf


def own_papers(file: DisputeFile) -> tuple[Paper, ...]:
    """What we have written ourselves, for a bank: all of it, and by themselves what it asks for by name, where there is
    something. Takes moments of processor time: call it in a thread."""
    parts = [
        Paper(name, document_type, as_pdf(part))
        for name, document_type, title, keys in _PARTS
        if (part := _part(file, title, keys)) is not None
    ]
    return (Paper("evidence.pdf", "subscription", as_pdf(file)), *parts)


def _part(file: DisputeFile, title: str, keys: Sequence[str]) -> DisputeFile | None:
    sections = tuple(section for section in file.sections if section.key in keys and section.happenings)
    return replace(file, title=f"{title}: {file.title}", sections=sections, missing=()) if sections else None


def as_zip(file: DisputeFile, papers: Sequence[Paper]) -> bytes:
    """Everything in one archive: the files for the bank, the same as JSON, and the texts for Whop's places."""
    texts = json.dumps(dict(file.texts.given()), ensure_ascii=False, indent=2, sort_keys=True).encode()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as container:
        for name, content in (
            *((paper.name, paper.content) for paper in papers),
            ("evidence.json", as_json(file)),
            ("texts-for-whop.json", texts),
        ):
            entry = zipfile.ZipInfo(f"{file.dispute_id}/{name}", _EPOCH)
            entry.compress_type, entry.external_attr, entry.create_system = zipfile.ZIP_DEFLATED, _READABLE, 3
            container.writestr(entry, content)
    return archive.getvalue()


def _content(file: DisputeFile) -> dict[str, Any]:
    return {
        "dispute_id": file.dispute_id,
        "title": file.title,
        "sections": [
            {
                "key": section.key,
                "title": section.title,
                "facts": [{"name": name, "value": value} for name, value in section.facts],
                "happenings": [
                    {"at": stamp(one.at), "what": one.what, "detail": one.detail} for one in section.happenings
                ],
            }
            for section in file.sections
        ],
        "texts": dict(asdict(file.texts)),
        "missing": list(file.missing),
    }
