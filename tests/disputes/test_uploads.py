"""Files for the bank: each is sent once, exactly as it was kept, whatever happens on the way."""

import base64
import hashlib
from typing import Any

import pytest
from sqlalchemy import select

from quntedge.disputes.answers import ResponseView, new_response_id
from quntedge.disputes.errors import EvidenceFileRefused
from quntedge.disputes.models import DisputeDocument
from quntedge.disputes.papers import LARGEST_FILE_BYTES, MOST_FILES, Paper, check
from quntedge.edge.dispute_papers import for_bank
from quntedge.gateway.disputed import EvidenceTexts
from quntedge.processes.runner import HANDOVER
from tests.disputes.world import World

TEXTS = EvidenceTexts(notes="They used it for months.")
PAPERS = (
    Paper("evidence.pdf", "subscription", b"%PDF-1.7 all we know"),
    Paper("access-log.pdf", "digital_fulfillment", b"%PDF-1.7 sign-ins"),
)
POINTS = ("POST /files", "PUT /uploads/*", "GET /files/*", "PATCH /disputes/*", "POST /disputes/*/submit")


async def _submit(world: World, papers: tuple[Paper, ...] = PAPERS, key: str | None = None) -> ResponseView:
    dispute = await world.row("SELECT id FROM dispute")
    key = key or new_response_id(world.clock.now())
    answers = world.runtime.services.disputes.answers
    return await answers.submit(dispute["id"], TEXTS, papers, key=key, actor="staff:test@cli")


async def _documents(world: World) -> list[dict[str, Any]]:
    return await world.rows(
        "SELECT id, user_id, name, document_type, state, whop_file_id, sha256, upload_to IS NOT NULL AS open"
        " FROM dispute_document ORDER BY position"
    )


async def _go_on(world: World) -> int:
    """Time passes until the answer has ended; how many times something was tried."""
    for turn in range(60):
        if (await world.row("SELECT state FROM dispute_response"))["state"] != "requested":
            return turn
        await world.advance(seconds=HANDOVER.total_seconds() + 35)
        await world.work()
    raise AssertionError("the answer never ended")


async def test_files_arrive_as_they_were_kept_and_join_those_that_hang_there(world: World) -> None:
    await world.buy()
    dispute_id = await world.dispute()
    by_hand = await world.emulator.upload("chat.pdf", b"%PDF-1.7 a chat")
    attached = {"documents": [{"id": by_hand, "document_type": "customer_communication"}]}
    await world.whop("PATCH", f"/disputes/{dispute_id}", {"evidence": attached})

    assert (await _submit(world)).state == "done"
    told = (await world.whop("GET", f"/disputes/{dispute_id}"))["evidence"]
    rows = await _documents(world)
    assert [(row["state"], row["open"]) for row in rows] == [("sent", False)] * 2
    assert [(one["id"], one["document_type"]) for one in told["documents"]] == [
        *((row["whop_file_id"], row["document_type"]) for row in rows),
        (by_hand, "customer_communication"),
    ]
    at_whop = {file["id"]: file for file in await world.emulator.files()}
    for row, paper in zip(rows, PAPERS, strict=True):
        file = at_whop[row["whop_file_id"]]
        digest = hashlib.sha256(paper.content).hexdigest()
        assert (file["sha256"], file["size"], file["visibility"]) == (digest, len(paper.content), "private")
        assert row["sha256"] == digest

    # What was sent is kept, sealed with the customer's key.
    async with world.runtime.units() as unit:
        row_id = rows[0]["id"]
        sealed = await unit.session.scalar(select(DisputeDocument.content).where(DisputeDocument.id == row_id))
        assert sealed is not None
        assert b"all we know" not in sealed.token
        cipher = await world.runtime.vault.cipher(unit.session, world.user_id)
        opened = cipher.open("dispute_document", "content", row_id, sealed)
        assert base64.b85decode(opened) == PAPERS[0].content


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param("cut_before", marks=pytest.mark.long),
        "cut_after",
        pytest.param("error_after", marks=pytest.mark.long),
    ],
)
async def test_cut_off_at_every_point_each_file_is_sent_once(world: World, fault: str) -> None:
    await world.buy()
    dispute_id = await world.dispute()
    for point in POINTS:
        await world.emulator.faults(fault=fault, match=point, times=1)
    key = new_response_id(world.clock.now())
    assert (await _submit(world, key=key)).state == "requested"
    await _go_on(world)
    assert (await _submit(world, key=key)).state == "done"

    assert all(rule["times_left"] == 0 for rule in (await world.emulator.faults_state())["rules"])
    files = await world.emulator.files()
    rows = await _documents(world)
    assert [row["state"] for row in rows] == ["sent", "sent"]
    assert sorted(file["id"] for file in files) == sorted(row["whop_file_id"] for row in rows)
    assert [file["puts"] for file in files] == [1, 1]
    told = (await world.whop("GET", f"/disputes/{dispute_id}"))["evidence"]
    assert [one["id"] for one in told["documents"]] == [row["whop_file_id"] for row in rows]


async def test_a_place_that_expired_is_asked_for_again(world: World) -> None:
    await world.buy()
    await world.dispute()
    await world.emulator.faults(fault="cut_before", match="PUT /uploads/*", times=1)
    assert (await _submit(world)).state == "requested"
    await world.advance(hours=2)
    await world.work()
    await _go_on(world)
    rows = await world.rows("SELECT state, renewals FROM dispute_document ORDER BY position")
    assert [(row["state"], row["renewals"]) for row in rows] == [("sent", 1), ("sent", 0)]
    files = await world.emulator.files()
    assert sorted(file["puts"] for file in files) == [0, 1, 1]


async def test_files_are_waited_for_until_whop_has_looked_at_them(world: World) -> None:
    await world.buy()
    await world.dispute()
    await world.emulator.process_files(seconds=100)
    assert (await _submit(world)).state == "requested"
    assert {row["state"] for row in await _documents(world)} == {"uploaded"}
    assert await _go_on(world) >= 1
    assert {row["state"] for row in await _documents(world)} == {"sent"}


async def test_what_whop_refuses_leaves_its_files_unsent(world: World) -> None:
    await world.buy()
    dispute_id = await world.dispute()
    await world.whop("POST", f"/disputes/{dispute_id}/accept")
    with pytest.raises(Exception, match="did not take it"):
        await _submit(world)
    assert {(row["state"], row["open"]) for row in await _documents(world)} == {("not_sent", False)}


PDF = b"%PDF-1.7"


@pytest.mark.parametrize(
    ("papers", "said"),
    [
        ([Paper("a.pdf", "subscription", PDF)] * (MOST_FILES + 1), "at most 10 files"),
        ([Paper("a.pdf", "subscription", PDF + b"x" * LARGEST_FILE_BYTES)], r"a\.pdf has 10\.1 MB"),
        ([Paper(f"{n}.pdf", "subscription", PDF + b"x" * 8_999_000) for n in range(3)], r"27\.0 MB together"),
        ([Paper("a.exe", "subscription", b"MZ")], "of a type no bank takes"),
        ([Paper("pdf", "subscription", b"MZ")], "begin as such files"),
        ([Paper("a.pdf", "subscription", b"<html>")], "does not begin as such files do"),
        ([Paper("a.pdf", "subscription", b"")], "is empty"),
        ([Paper("a.pdf", "love_letter", PDF)], "no file can prove 'love_letter'"),
    ],
)
def test_what_no_bank_takes_is_refused_with_what_to_do(papers: list[Paper], said: str) -> None:
    with pytest.raises(EvidenceFileRefused, match=said):
        check(papers)


def test_what_fits_exactly_is_taken() -> None:
    check([Paper("a.PDF", "subscription", PDF + b"x" * (LARGEST_FILE_BYTES - len(PDF)))])
    check([Paper("a.json", "subscription", b"{}"), Paper("b.webp", "product_image", b"RIFF0000WEBP")])


async def test_a_file_that_is_refused_starts_nothing(world: World) -> None:
    await world.buy()
    await world.dispute()
    with pytest.raises(EvidenceFileRefused):
        await _submit(world, (Paper("a.exe", "subscription", b"MZ"),))
    assert await world.rows("SELECT id FROM dispute_response") == []
    assert await world.emulator.files() == []


async def _attach_by_hand(world: World, dispute_id: str, number: int) -> list[str]:
    made = [await world.emulator.upload(f"chat-{n}.pdf", b"%PDF-1.7 a chat") for n in range(number)]
    documents = [{"id": one, "document_type": "customer_communication"} for one in made]
    await world.whop("PATCH", f"/disputes/{dispute_id}", {"evidence": {"documents": documents}})
    return made


async def test_what_hangs_there_is_counted_before_anything_is_sent(world: World) -> None:
    await world.buy()
    dispute_id = await world.dispute()
    await _attach_by_hand(world, dispute_id, MOST_FILES - 2)
    internal_id = (await world.row("SELECT id FROM dispute"))["id"]
    hanging = await world.runtime.services.disputes.answers.hanging(internal_id)
    assert hanging == MOST_FILES - 2
    added = [Paper(f"{n}.pdf", "product_image", PDF) for n in range(3)]
    assert for_bank(PAPERS, added[:1], hanging=hanging) == (added[0], PAPERS[0])
    with pytest.raises(EvidenceFileRefused, match=r"8 files hang on the dispute already.* add 2 at most"):
        for_bank(PAPERS, added, hanging=hanging)
    assert for_bank(PAPERS, hanging=MOST_FILES) == ()


@pytest.mark.long
async def test_a_gateway_that_does_not_answer_keeps_nothing_back(world: World) -> None:
    await world.buy()
    await world.dispute()
    internal_id = (await world.row("SELECT id FROM dispute"))["id"]
    await world.emulator.faults(fault="error_before", match="GET /disputes/*", times=9)
    assert await world.runtime.services.disputes.answers.hanging(internal_id) == 0, "a deadline counts for more"


@pytest.mark.long
async def test_what_was_attached_meanwhile_stays_and_ours_make_room(world: World) -> None:
    await world.buy()
    dispute_id = await world.dispute()
    by_hand = await _attach_by_hand(world, dispute_id, MOST_FILES - 1)
    assert (await _submit(world)).state == "done"
    rows = await _documents(world)
    assert [(row["name"], row["state"]) for row in rows] == [("evidence.pdf", "sent"), ("access-log.pdf", "not_sent")]
    told = (await world.whop("GET", f"/disputes/{dispute_id}"))["evidence"]["documents"]
    assert [one["id"] for one in told] == [rows[0]["whop_file_id"], *by_hand]
