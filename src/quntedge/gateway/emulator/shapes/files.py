"""The JSON shape of uploaded files."""

from datetime import datetime

from quntedge.gateway.emulator.state.file_records import STORAGE, StoredFile
from quntedge.gateway.emulator.wire.values import JsonObject, iso


def stored_file(file: StoredFile, now: datetime, base_url: str, upload_url: str | None = None) -> JsonObject:
    """A file as it is `now`. Only a new one tells where its bytes are to be put (`upload_url`)."""
    status = file.status(now)
    url = f"{base_url}{STORAGE}/files/{file.id}" if status == "ready" else None
    shown: JsonObject = {
        "id": file.id,
        "object": "file",
        "blurhash": None,
        "content_type": file.content_type,
        "created_at": iso(file.created_at),
        "duration_seconds": None,
        "filename": file.filename,
        "height": None,
        "removed_by_moderation": False,
        "size": file.size,
        "upload_status": status,
        "url": url,
        "visibility": file.visibility,
        "waveform_url": None,
        "width": None,
    }
    if upload_url is not None:
        shown["upload_url"] = upload_url
        shown["upload_headers"] = {"Content-Type": file.content_type}
    return shown
