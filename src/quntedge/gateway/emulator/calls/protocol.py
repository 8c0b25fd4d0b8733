"""uvicorn's HTTP protocol, which additionally hands each request its transport, so that a fault can hang up."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

TRANSPORT = "quntedge.transport"
"""Member of the scope that holds the connection's transport."""


class CuttableProtocol(HttpToolsProtocol):
    """See the module."""

    def on_message_begin(self) -> None:
        """Called by the parser when a request begins."""
        super().on_message_begin()
        self.scope[TRANSPORT] = self.transport  # type: ignore[literal-required]
