"""The files that go to a bank: which there can be, and what Whop takes. Pure.

Limits and kinds are those that Whop's API names for the documents of a dispute. They are checked before anything is
sent: what Whop refuses at the end would have cost the time that the deadline leaves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quntedge.disputes.errors import EvidenceFileRefused

DOCUMENT_STATES: tuple[str, ...] = ("planned", "announced", "uploaded", "attached", "sent", "not_sent")

MOST_FILES = 10
LARGEST_FILE_BYTES = 10_000_000
LARGEST_TOTAL_BYTES = 25_000_000

DOCUMENT_TYPES: tuple[str, ...] = (
    "return_policy",
    "shipping_policy",
    "cancellation_policy",
    "terms_of_service",
    "physical_fulfillment",
    "customer_order_history",
    "product_image",
    "prior_transactions",
    "customer_session",
    "digital_fulfillment",
    "subscription",
    "customer_communication",
)
"""What a file can prove, in Whop's words."""

_TYPES: Mapping[str, tuple[str, bytes]] = {
    "pdf": ("application/pdf", b"%PDF-"),
    "json": ("application/json", b""),
    "jpg": ("image/jpeg", b"\xff\xd8\xff"),
    "jpeg": ("image/jpeg", b"\xff\xd8\xff"),
    "png": ("image/png", b"\x89PNG\r\n\x1a\n"),
    "webp": ("image/webp", b"RIFF"),
}
"""By the extension of the name: the type, and how its files begin."""


@dataclass(frozen=True, slots=True)
class Paper:
    """A file for the bank. `document_type` is one of `DOCUMENT_TYPES`; the name holds no personal data."""

    name: str
    document_type: str
    content: bytes

    @property
    def content_type(self) -> str:
        """The type that its name says. Raises `EvidenceFileRefused` for one that no bank takes."""
        return _type_of(self.name)[0]


def room_beside(hanging: int) -> int:
    """How many files still fit beside those that hang on a dispute already."""
    return max(0, MOST_FILES - hanging)


def check(papers: Sequence[Paper]) -> None:
    """Raises `EvidenceFileRefused` for what Whop would not take, with what to do about it."""
    if len(papers) > MOST_FILES:
        raise EvidenceFileRefused(f"A dispute takes at most {MOST_FILES} files; these are {len(papers)}. Join some.")
    for paper in papers:
        _check_one(paper)
    total = sum(len(paper.content) for paper in papers)
    if total > LARGEST_TOTAL_BYTES:
        raise EvidenceFileRefused(
            f"The files have {_megabytes(total)} together, and Whop takes {_megabytes(LARGEST_TOTAL_BYTES)}. "
            "Leave out the one that proves least, or make the images smaller."
        )


def _check_one(paper: Paper) -> None:
    content_type, beginning = _type_of(paper.name)
    if paper.document_type not in DOCUMENT_TYPES:
        raise EvidenceFileRefused(
            f"{paper.name}: no file can prove {paper.document_type!r}. Say one of {', '.join(DOCUMENT_TYPES)}."
        )
    if not paper.content:
        raise EvidenceFileRefused(f"{paper.name} is empty.")
    if len(paper.content) > LARGEST_FILE_BYTES:
        raise EvidenceFileRefused(
            f"{paper.name} has {_megabytes(len(paper.content))}, and Whop takes {_megabytes(LARGEST_FILE_BYTES)} "
            "at most. Make its images smaller, or divide it."
        )
    if not paper.content.startswith(beginning):
        raise EvidenceFileRefused(f"{paper.name} is named like {content_type}, but does not begin as such files do.")


def _type_of(name: str) -> tuple[str, bytes]:
    found = _TYPES.get(name.rpartition(".")[2].lower())
    if found is None:
        raise EvidenceFileRefused(f"{name} is of a type no bank takes. Send PDF, JSON, JPEG, PNG or WebP.")
    return found


def _megabytes(size: int) -> str:
    tenths = -(-size // 100_000)
    return f"{tenths // 10}.{tenths % 10} MB"
