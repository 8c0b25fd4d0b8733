"""API: files, and the storage behind it that takes their bytes at signed addresses."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.callers.credentials import credential_in
from quntedge.gateway.emulator.calls.requests import (
    Fields,
    answer,
    check_query,
    find,
    many,
    page,
    runtime_of,
    world_of,
)
from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.life import files
from quntedge.gateway.emulator.shapes.files import stored_file
from quntedge.gateway.emulator.state.file_records import StoredFile
from quntedge.gateway.emulator.wire.errors import bad_request, not_found
from quntedge.gateway.emulator.wire.values import JsonObject

_MOST_IDS = 250
_PAGING = ("first", "after", "last", "before", "order", "direction")


def _own(request: Request) -> StoredFile:
    file = find(world_of(request).store.tables.files, request, "File")
    if file.owner != credential_in(request.scope).name:
        raise not_found("File")
    return file


def _shown(world: World, file: StoredFile, upload_url: str | None = None) -> JsonObject:
    return stored_file(file, world.now(), world.config.public_base_url, upload_url)


async def create_file(request: Request) -> Response:
    """POST /files: announces one; the answer says where its bytes are to be put. In one piece only."""
    world, fields = world_of(request), await Fields.of(request)
    filename = fields.needed_text("filename", longest=255)
    byte_size = fields.integer("byte_size", 1, files.MOST_BYTES)
    visibility = fields.choice("visibility", ("private", "public"), "private")
    multipart = fields.flag("multipart")
    fields.done()
    if multipart:
        raise bad_request("Uploads in parts are not emulated.")
    owner = credential_in(request.scope).name
    made = files.announce(world, filename, owner, byte_size=byte_size, visibility=visibility)
    return answer(_shown(world, made, files.address(world, made)), 201)


async def read_file(request: Request) -> Response:
    """GET /files/{id}, by whoever made it."""
    return answer(_shown(world_of(request), _own(request)))


async def list_files(request: Request) -> Response:
    """GET /files: those that the caller has made, of the given ids where there are any."""
    check_query(request, (*_PAGING, "file_ids"))
    world, wanted = world_of(request), many(request, "file_ids")
    if len(wanted) > _MOST_IDS:
        raise bad_request(f"`file_ids` must name at most {_MOST_IDS} files.")
    owner = credential_in(request.scope).name
    rows = [
        file for file in world.store.tables.files.values() if file.owner == owner and (not wanted or file.id in wanted)
    ]
    return page(request, rows, lambda file: _shown(world, file))


async def put_bytes(request: Request) -> Response:
    """PUT of the bytes. No key is needed: the address is signed."""
    world = world_of(request)
    file = find(world.store.tables.files, request, "File")
    files.receive(
        world,
        file,
        await request.body(),
        until=request.query_params.get("until", ""),
        signature=request.query_params.get("signature", ""),
        content_type=request.headers.get("content-type", ""),
    )
    return Response(status_code=200, headers={"etag": f'"{file.sha256}"'})


async def show_files(request: Request) -> Response:
    """`GET /_control/files`: all files, with what Whop would not tell: digest, and how often bytes landed."""
    world = world_of(request)
    return answer(
        [
            {**_shown(world, file), "sha256": file.sha256, "puts": file.puts}
            for file in world.store.tables.files.values()
        ]
    )


async def set_processing(request: Request) -> Response:
    """`POST /_control/files`: `processing_seconds` that a file takes to become ready once its bytes have landed."""
    runtime, fields = runtime_of(request), await Fields.of(request)
    tables = runtime.world.store.tables
    tables.file_processing_seconds = fields.integer("processing_seconds", 0, 86_400) or 0
    fields.done()
    runtime.world.store.changes += 1
    return answer({"processing_seconds": tables.file_processing_seconds})


ROUTES = [
    Route("/files", list_files),
    Route("/files", create_file, methods=["POST"]),
    Route("/files/{id}", read_file),
]
STORAGE_ROUTES = [Route("/uploads/{id}", put_bytes, methods=["PUT"])]
CONTROL_ROUTES = [
    Route("/files", show_files),
    Route("/files", set_processing, methods=["POST"]),
]
