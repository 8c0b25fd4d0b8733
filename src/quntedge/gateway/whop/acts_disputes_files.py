"""Files for disputes: announced at Whop, put to the storage that Whop names, and ready once Whop has looked at them."""

import httpx

from quntedge.gateway.disputed import EvidenceFileActs, FileStatus, UploadPlace
from quntedge.gateway.errors import GatewayInvalidAnswer
from quntedge.gateway.whop.calls import Calls
from quntedge.gateway.whop.shapes_dispute import file_status, upload_place

_LARGEST_AT_ONCE_BYTES = 100_000_000
"""From about here on Whop wants parts; evidence is far smaller."""


class EvidenceFileCalls(Calls, EvidenceFileActs):
    """Direct uploads in one piece. The official SDK announces and looks; the bytes go past it, to Whop's storage."""

    async def announce_file(self, name: str, size_bytes: int, *, idempotency_key: str) -> UploadPlace:
        """Makes a place for a private file of this many bytes. Under the same key Whop answers with the same place for
        24 hours; after that, or without an answer, what is left is an empty file that hangs nowhere."""
        if not 0 < size_bytes <= _LARGEST_AT_ONCE_BYTES:
            raise ValueError(f"a file of {size_bytes} bytes is not put in one piece")
        place = await self._write(
            "files.create",
            lambda sdk, options: sdk.files.create(
                filename=name, byte_size=size_bytes, visibility="private", request_options=options
            ),
            upload_place,
            idempotency_key,
        )
        self._check(place.url)
        return place

    async def put_file(self, place: UploadPlace, content: bytes) -> None:
        """Puts the bytes. Raises `GatewayRejected` or `GatewayNotFound` when the place has expired."""
        self._check(place.url)
        await self._exchange.put("files.put", place.url, place.headers, content)

    async def file_status(self, file_id: str) -> FileStatus:
        """Where it is now; `PENDING` until its bytes have landed."""
        return await self._read(
            "files.retrieve",
            lambda sdk, options: sdk.files.retrieve(file_id, request_options=options),
            file_status,
        )

    def _check(self, address: str) -> None:
        """Personal data leaves through this address: in the clear only to a stand-in for Whop."""
        try:
            url = httpx.URL(address)
        except httpx.InvalidURL as error:
            raise GatewayInvalidAnswer("Whop's answer to files.create names no address to put the file to.") from error
        allowed = ("http", "https") if self._settings.environment == "custom" else ("https",)
        if url.scheme not in allowed or not url.host:
            raise GatewayInvalidAnswer("Whop's answer to files.create names an address that is not https.")
