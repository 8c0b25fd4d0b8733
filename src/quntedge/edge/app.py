"""Putting an application together from services and routes."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import APIRouter, FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from quntedge.edge.bare import BareDispatcher, BareRoute
from quntedge.edge.lean import ShortWay
from quntedge.edge.middleware import BodyLimit, Guard, RateLimit, RequestLog, SecurityHeaders
from quntedge.edge.openapi import describe
from quntedge.edge.problems import ErrorPage, ProblemAnswers
from quntedge.edge.services import Services
from quntedge.edge.strict import StrictInput

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


class Application(FastAPI):
    """The framework's application inside our own middlewares, with bare routes in front of it."""

    def __init__(
        self, services: Services, bare: Sequence[BareRoute], answers: ProblemAnswers, lifespan: Lifespan
    ) -> None:
        # No interactive documentation: its assets would come from another host. The description itself is served.
        super().__init__(
            title=f"{services.settings.product_name} Payments",
            version="1",
            docs_url=None,
            redoc_url=None,
            openapi_url=None,
            redirect_slashes=False,
            lifespan=lifespan,
        )
        self.state.services = services
        self.bare_routes = tuple(bare)
        self._services = services
        self._answers = answers
        self._outside: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection: on the short way, or through our middlewares by a bare route or the framework."""
        scope["app"] = self
        if self._outside is None:
            self._outside = self._surround(super().__call__)
        await self._outside(scope, receive, send)

    def _surround(self, framework: ASGIApp) -> ASGIApp:
        services, https = self._services, self._services.settings.secure_cookies
        app: ASGIApp = BareDispatcher(StrictInput(framework), self.bare_routes, self._fixed_paths())
        app = BodyLimit(app)
        app = RateLimit(app, services.limits, services.clients)
        app = Guard(app, self._answers)
        app = SecurityHeaders(app, https=https, form_targets=services.checkout_origins)
        return ShortWay(RequestLog(app), self.bare_routes, https=https)

    def openapi(self) -> dict[str, object]:
        """The description of the API, bare routes and callers included."""
        if self.openapi_schema is None:
            self.openapi_schema = describe(self, self.bare_routes)
        return self.openapi_schema

    def _fixed_paths(self) -> Iterable[str]:
        contexts = iter_route_contexts(self.routes)
        return (context.path for context in contexts if context.path and "{" not in context.path)


@asynccontextmanager
async def _no_lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield


def build(
    services: Services,
    routers: Iterable[APIRouter],
    bare: Sequence[BareRoute] = (),
    *,
    error_page: ErrorPage | None = None,
    lifespan: Lifespan = _no_lifespan,
) -> Application:
    """An application with these routes. `error_page` shows errors to people; without it they get problem documents."""
    answers = ProblemAnswers(error_page)
    app = Application(services, bare, answers, lifespan)
    for kind, handler in answers.handlers().items():
        app.add_exception_handler(kind, handler)
    app.router.routes.extend(_included(tuple(routers)))
    return app


def _included(routers: tuple[APIRouter, ...]) -> list[BaseRoute]:
    """The routes of these routers. Working them out takes a good part of the start; they know nothing of the
    application, so that several in one process share them."""
    key = tuple(map(id, routers))
    if key not in _KNOWN:
        together = APIRouter(redirect_slashes=False)
        for router in routers:
            together.include_router(router)
        _KNOWN[key] = routers, together.routes
    return _KNOWN[key][1]


# With the routers themselves, so that no other can ever have the same ids.
_KNOWN: dict[tuple[int, ...], tuple[tuple[APIRouter, ...], list[BaseRoute]]] = {}
