"""Snapshots and branches under `/_control`."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.calls.requests import Fields, answer, runtime_of
from quntedge.gateway.emulator.control import rewinding
from quntedge.gateway.emulator.keeping.branches import Role, Saved
from quntedge.gateway.emulator.runtime import Runtime
from quntedge.gateway.emulator.wire.values import iso


def _shape(name: str, saved: Saved) -> dict[str, Any]:
    return {
        "name": name,
        "branch": saved.branch,
        "at": iso(saved.image.at),
        "bytes": len(saved.image.content),
        "counts": saved.image.counts,
    }


def _where(runtime: Runtime) -> dict[str, Any]:
    return {"branch": runtime.shelf.current, "now": iso(runtime.world.now()), "version": runtime.world.clock.version}


async def list_snapshots(request: Request) -> Response:
    """All snapshots, oldest first."""
    return answer({"data": [_shape(name, one) for name, one in runtime_of(request).shelf.snapshots.items()]})


async def take(request: Request) -> Response:
    """Keeps the present state as `name`."""
    runtime, fields = runtime_of(request), await Fields.of(request)
    name = fields.needed_text("name", longest=100)
    fields.done()
    return answer(_shape(name, rewinding.take_snapshot(runtime, name)), 201)


async def restore(request: Request) -> Response:
    """Goes back to a snapshot; `force` does so even while programs follow the clock."""
    runtime, force = runtime_of(request), await _force(request)
    await rewinding.restore(runtime, request.path_params["name"], force=force)
    return answer(_where(runtime))


async def list_branches(request: Request) -> Response:
    """All branches. The current one comes first; it has no size, for it is what is running."""
    runtime = runtime_of(request)
    current = {"name": runtime.shelf.current, "current": True, "at": iso(runtime.world.now())}
    others = [{**_shape(name, one), "current": False} for name, one in runtime.shelf.branches.items()]
    return answer({"data": [current, *others]})


async def create_branch(request: Request) -> Response:
    """Begins the branch `name` from now, or from `snapshot`, and switches to it."""
    runtime, fields = runtime_of(request), await Fields.of(request)
    name, snapshot = fields.needed_text("name", longest=100), fields.text("snapshot", longest=100)
    force = bool(fields.flag("force"))
    fields.done()
    await rewinding.branch(runtime, name, snapshot=snapshot, force=force)
    return answer(_where(runtime), 201)


async def switch(request: Request) -> Response:
    """Goes on where another branch was left; `force` does so even while programs follow the clock."""
    runtime, force = runtime_of(request), await _force(request)
    await rewinding.switch(runtime, request.path_params["name"], force=force)
    return answer(_where(runtime))


async def _force(request: Request) -> bool:
    fields = await Fields.of(request)
    force = bool(fields.flag("force"))
    fields.done()
    return force


async def delete_snapshot(request: Request) -> Response:
    """Forgets a snapshot."""
    return _delete(request, "snapshot")


async def delete_branch(request: Request) -> Response:
    """Forgets a branch that is not the current one."""
    return _delete(request, "branch")


def _delete(request: Request, role: Role) -> Response:
    name = request.path_params["name"]
    rewinding.delete(runtime_of(request), role, name)
    return answer({"name": name, "deleted": True})


ROUTES = [
    Route("/snapshots", list_snapshots),
    Route("/snapshots", take, methods=["POST"]),
    Route("/snapshots/{name}", delete_snapshot, methods=["DELETE"]),
    Route("/snapshots/{name}/restore", restore, methods=["POST"]),
    Route("/branches", list_branches),
    Route("/branches", create_branch, methods=["POST"]),
    Route("/branches/{name}", delete_branch, methods=["DELETE"]),
    Route("/branches/{name}/switch", switch, methods=["POST"]),
]
