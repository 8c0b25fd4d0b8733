"""Snapshots and branches: keeping the whole state under a name, and going on from a kept one.

Going on from another state takes its clock with it, so the emulator's time may go back. Programs that follow the clock
would go back as well, with a database of their own that does not: as long as somebody follows, it must be forced.
"""

from quntedge.gateway.emulator.keeping.branches import Role, Saved
from quntedge.gateway.emulator.keeping.images import Image
from quntedge.gateway.emulator.runtime import Runtime
from quntedge.gateway.emulator.wire.errors import conflict


def take_snapshot(runtime: Runtime, name: str) -> Saved:
    """Keeps the present state. Raises ApiFault 400 or 409 for a name that cannot be used."""
    shelf = runtime.shelf
    shelf.check_free("snapshot", name)
    saved = shelf.snapshots[name] = Saved(shelf.current, _present(runtime))
    return saved


async def restore(runtime: Runtime, name: str, *, force: bool = False) -> Saved:
    """Makes a snapshot the present state of the current branch; what it was is gone.

    Raises:
        ApiFault: 404 for an unknown name; 409 while a program follows the clock, unless forced.
    """
    async with runtime.timeline.walking:
        saved = runtime.shelf.find("snapshot", name)
        check_followers(runtime, force=force)
        await runtime.load(saved.image.tables(), saved.image.at)
    return saved


async def branch(runtime: Runtime, name: str, *, snapshot: str | None = None, force: bool = False) -> None:
    """Begins a branch and makes it the current one, from now or from a snapshot. The one left keeps its state.

    Raises:
        ApiFault: 400 or 409 for a name that cannot be used, 404 for an unknown snapshot; from a snapshot also 409
            while a program follows the clock, unless forced.
    """
    shelf = runtime.shelf
    async with runtime.timeline.walking:
        shelf.check_free("branch", name)
        if snapshot is None:
            _leave(runtime, name)
            return
        saved = shelf.find("snapshot", snapshot)
        check_followers(runtime, force=force)
        tables = saved.image.tables()
        _leave(runtime, name)
        await runtime.load(tables, saved.image.at)


async def switch(runtime: Runtime, name: str, *, force: bool = False) -> None:
    """Leaves the current branch and goes on where another one was left. Switching to the current one does nothing.

    Raises:
        ApiFault: 404 for an unknown name; 409 while a program follows the clock, unless forced.
    """
    shelf = runtime.shelf
    async with runtime.timeline.walking:
        if name == shelf.current:
            return
        saved = shelf.find("branch", name)
        check_followers(runtime, force=force)
        tables = saved.image.tables()
        _leave(runtime, name)
        del shelf.branches[name]
        await runtime.load(tables, saved.image.at)


def delete(runtime: Runtime, role: Role, name: str) -> None:
    """Forgets a snapshot or a branch. Raises ApiFault: 404 for an unknown name, 409 for the current branch."""
    if role == "branch" and name == runtime.shelf.current:
        raise conflict("The current branch cannot be deleted; switch to another one first.")
    runtime.shelf.find(role, name)
    del runtime.shelf.of(role)[name]
    runtime.world.store.changes += 1


def check_followers(runtime: Runtime, *, force: bool) -> None:
    """Raises ApiFault 409 while a program follows the clock, unless forced."""
    followers = runtime.followers.present()
    if followers and not force:
        raise conflict(
            f"{len(followers)} program(s) follow the clock; their time would jump while their data stays. "
            'Stop them first, or send {"force": true}.'
        )


def _present(runtime: Runtime) -> Image:
    runtime.world.store.changes += 1  # so that the new copy is written to the state file
    return Image.of(runtime.world.store.tables, runtime.world.now())


def _leave(runtime: Runtime, name: str) -> None:
    """Keeps the current branch as it is; `name` is the current one from now on."""
    shelf = runtime.shelf
    shelf.branches[shelf.current] = Saved(shelf.current, _present(runtime))
    shelf.current = name
