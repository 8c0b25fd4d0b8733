"""Direct uploads: a file is announced, its bytes are put to a signed address, and then it can be attached."""

import hashlib
import hmac
import mimetypes
from datetime import UTC, datetime, timedelta

from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.state.file_records import STORAGE, StoredFile
from quntedge.gateway.emulator.wire.errors import bad_request, forbidden, invalid

ADDRESS_LASTS = timedelta(hours=1)
MOST_BYTES = 50 * 1000 * 1000
"""What is taken here in one piece; Whop takes 5 GB."""

EVIDENCE_TYPES = ("application/pdf", "application/json", "image/jpeg", "image/png", "image/webp")
EVIDENCE_BYTES = 10 * 1000 * 1000
EVIDENCE_TOTAL_BYTES = 25 * 1000 * 1000
_BEGINNINGS = {
    "application/pdf": b"%PDF-",
    "image/jpeg": b"\xff\xd8\xff",
    "image/png": b"\x89PNG",
    "image/webp": b"RIFF",
}


def announce(world: World, filename: str, owner: str, *, byte_size: int | None, visibility: str) -> StoredFile:
    """Makes a file that waits for its bytes.

    Raises:
        ApiFault: 400 for a name without an extension.
    """
    content_type = mimetypes.guess_type(filename)[0]
    if "." not in filename.strip(".") or content_type is None:
        raise bad_request("`filename` must have a known extension, such as terms.pdf.")
    at = world.now()
    made = StoredFile(
        id=world.store.new_id("file"),
        created_at=at,
        updated_at=at,
        filename=filename,
        owner=owner,
        visibility=visibility,
        content_type=content_type,
        announced_bytes=byte_size,
    )
    world.store.add(world.store.tables.files, made)
    return made


def address(world: World, file: StoredFile) -> str:
    """Where its bytes are put: whoever has the address may, for an hour."""
    until = int((file.created_at + ADDRESS_LASTS).timestamp())
    return (
        f"{world.config.public_base_url}{STORAGE}/uploads/{file.id}?until={until}&signature={_sign(world, file, until)}"
    )


def receive(world: World, file: StoredFile, body: bytes, *, until: str, signature: str, content_type: str) -> None:
    """Takes the bytes of a file, as often as they are put.

    Raises:
        ApiFault: 403 for another address or headers than those given, and after an hour; 400 for another size.
    """
    right = until.isascii() and until.isdigit() and len(until) <= 11
    if not right or not hmac.compare_digest(signature.encode(), _sign(world, file, int(until)).encode()):
        raise forbidden("The signature of this address does not fit.")
    if datetime.fromtimestamp(int(until), UTC) < world.now():
        raise forbidden("This address has expired.")
    if content_type != file.content_type:
        raise forbidden("The signed headers were not sent.")
    if file.announced_bytes not in (None, len(body)):
        raise bad_request(f"{file.announced_bytes} bytes were announced, {len(body)} came.")
    at = world.now()
    file.size, file.sha256 = len(body), hashlib.sha256(body).hexdigest()
    file.puts += 1
    beginning = _BEGINNINGS.get(file.content_type or "")
    if beginning is not None and not body.startswith(beginning):
        file.content_type = "application/octet-stream"  # the content decides, whatever the name says
    file.ready_at = at + timedelta(seconds=world.store.tables.file_processing_seconds)
    world.store.touch(file, at)


def attachable(world: World, file_id: str, owner: str) -> StoredFile:
    """The file with this id, ready to be attached as evidence.

    Raises:
        ApiFault: 400 for an unknown one, one whose bytes have not landed, one too large or of a type no bank takes.
    """
    file = world.store.tables.files.get(file_id)
    if file is None or file.owner != owner:
        raise bad_request("There is no such file.")
    if file.status(world.now()) != "ready":
        raise bad_request("This file has not been uploaded yet.")
    if file.content_type not in EVIDENCE_TYPES:
        raise bad_request(f"Files of this type are not accepted: {file.content_type}.")
    if (file.size or 0) > EVIDENCE_BYTES:
        raise invalid("A document may have at most 10MB.")
    return file


def check_total(files: list[StoredFile]) -> None:
    """All documents of a dispute together.

    Raises:
        ApiFault: 422 when they are too large.
    """
    if sum(file.size or 0 for file in files) > EVIDENCE_TOTAL_BYTES:
        raise invalid("The documents may have at most 25MB in total.")


def _sign(world: World, file: StoredFile, until: int) -> str:
    text = f"upload.{file.id}.{until}".encode()
    return hmac.new(world.config.api_key.encode(), text, hashlib.sha256).hexdigest()[:32]
