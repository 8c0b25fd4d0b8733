"""Direct uploads: announce, put, attach; with the limits Whop names, and none of it for anybody else."""

import hashlib
from typing import Any

import httpx
import pytest
from whop_sdk import AsyncWhop

from quntedge.gateway.emulator.testing import RunningEmulator
from tests.emulator.conftest import Shop

PDF = b"%PDF-1.7 what we know"


async def _put(file: Any, content: bytes, url: str | None = None, **headers: str) -> httpx.Response:
    sent = {str(name): str(value) for name, value in (file.upload_headers or {}).items()} | headers
    async with httpx.AsyncClient(trust_env=False) as http:
        return await http.put(url or file.upload_url, content=content, headers=sent)


async def test_a_file_is_announced_put_and_attached(shop: Shop, sdk: AsyncWhop, emu: RunningEmulator) -> None:
    opened = await emu.open_dispute((await shop.sell())["payment"]["id"])
    made = await sdk.files.create(filename="terms.pdf", byte_size=len(PDF), visibility="private")
    assert (made.upload_status, made.visibility, made.size, made.url) == ("pending", "private", None, None)
    documents = [{"document_type": "terms_of_service", "id": made.id}]
    too_early = await _refused(sdk.disputes.update(opened["id"], evidence={"documents": documents}))
    assert "not been uploaded" in too_early

    assert (await _put(made, PDF)).status_code == 200
    ready = await sdk.files.retrieve(made.id)
    assert (ready.upload_status, ready.size, ready.content_type) == ("ready", len(PDF), "application/pdf")
    assert (ready.upload_url, ready.upload_headers) == (None, None), "only a new file tells where its bytes go"
    assert [one.id async for one in await sdk.files.list(file_ids=[made.id, "file_other"])] == [made.id]
    changed = await sdk.disputes.update(opened["id"], evidence={"documents": documents})
    assert [(one.id, one.filename) for one in changed.evidence.documents] == [(made.id, "terms.pdf")]
    (shown,) = await emu.files()
    assert (shown["sha256"], shown["puts"]) == (hashlib.sha256(PDF).hexdigest(), 1)


async def test_only_the_signed_address_takes_bytes_and_not_for_ever(sdk: AsyncWhop, emu: RunningEmulator) -> None:
    made = await sdk.files.create(filename="a.pdf", byte_size=len(PDF))
    address = str(made.upload_url)
    for url in (address[:-1] + ("0" if address[-1] != "0" else "1"), address.partition("?")[0], address + "0"):
        assert (await _put(made, PDF, url)).status_code == 403
    assert (await _put(made, PDF, **{"Content-Type": "text/html"})).status_code == 403
    assert (await _put(made, PDF + b"more")).status_code == 400
    await emu.advance(hours=2)
    assert (await _put(made, PDF)).status_code == 403
    assert (await sdk.files.retrieve(made.id)).upload_status == "pending"


async def test_a_file_takes_its_time_where_it_is_told_to(sdk: AsyncWhop, emu: RunningEmulator) -> None:
    await emu.process_files(seconds=60)
    made = await sdk.files.create(filename="a.png")
    assert (await _put(made, b"\x89PNG\r\n\x1a\n")).status_code == 200
    assert (await sdk.files.retrieve(made.id)).upload_status == "processing"
    await emu.advance(seconds=61)
    assert (await sdk.files.retrieve(made.id)).upload_status == "ready"


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.txt", b"text"), ("a.pdf", b"no pdf at all"), ("a.pdf", b"%PDF-" + b"x" * 10_000_000)],
)
async def test_what_no_bank_takes_is_not_attached(
    shop: Shop, sdk: AsyncWhop, emu: RunningEmulator, name: str, content: bytes
) -> None:
    opened = await emu.open_dispute((await shop.sell())["payment"]["id"])
    file_id = await emu.upload(name, content)
    documents = [{"document_type": "subscription", "id": file_id}]
    await _refused(sdk.disputes.update(opened["id"], evidence={"documents": documents}))
    assert (await sdk.disputes.retrieve(opened["id"])).evidence.documents == []


async def test_files_of_others_are_not_there(emu: RunningEmulator, api: httpx.AsyncClient) -> None:
    file_id = await emu.upload("a.pdf", PDF)
    key = (await emu.control.post("api_keys", json={"permissions": ["payment:dispute"]})).json()
    headers = {"Authorization": f"Bearer {key['secret']}"}
    assert (await api.get(f"files/{file_id}", headers=headers)).status_code == 404
    assert (await api.get(f"files/{file_id}")).status_code == 200
    for body in ({}, {"filename": "noextension"}, {"filename": "a.pdf", "multipart": True}, {"filename": "a", "x": 1}):
        assert (await api.post("files", json=body)).status_code == 400, body


async def _refused(call: Any) -> str:
    with pytest.raises(Exception) as caught:
        await call
    assert getattr(caught.value, "status_code", None) in (400, 422), caught.value
    return str(getattr(caught.value, "body", ""))
