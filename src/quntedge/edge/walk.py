"""Walking all routes of an application with what they say about their callers."""

from collections.abc import Iterator
from dataclasses import dataclass

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts

from quntedge.edge.bare import BareRoute
from quntedge.edge.callers import SAFE_METHODS, Csrf, Stamp


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """One address and method. `stamps` are the callers it names: exactly one on a sound route."""

    path: str
    method: str
    stamps: tuple[Stamp, ...]
    in_schema: bool

    def complaint(self) -> str | None:
        """What is wrong with the route's stance, or None."""
        if len(self.stamps) != 1:
            return f"{self.method} {self.path} names {len(self.stamps)} callers; name exactly one"
        if self.method not in SAFE_METHODS and self.stamps[0].csrf is Csrf.NONE:
            return f"{self.method} {self.path} changes something and is not protected against forged requests"
        return None


def walk(routes: list[object], bare: tuple[BareRoute, ...]) -> Iterator[RouteFacts]:
    """All routes of an application: `walk(app.routes, app.bare_routes)`."""
    for route in bare:
        for method in sorted(route.methods):
            yield RouteFacts(route.path, method, (route.stamp,), bool(route.openapi))
    for context in iter_route_contexts(routes):  # type: ignore[arg-type]
        yield from _framework_route(context)


def _framework_route(context: RouteContext) -> Iterator[RouteFacts]:
    original = context.original_route
    stamps = tuple(_stamps(original.dependant)) if isinstance(original, APIRoute) else ()
    in_schema = isinstance(original, APIRoute) and original.include_in_schema
    for method in sorted(context.methods or {"ANY"}):
        yield RouteFacts(context.path or "?", method, stamps, in_schema)


def _stamps(dependant: Dependant) -> Iterator[Stamp]:
    stamp = getattr(dependant.call, "stamp", None)
    if isinstance(stamp, Stamp):
        yield stamp
    for inner in dependant.dependencies:
        yield from _stamps(inner)
