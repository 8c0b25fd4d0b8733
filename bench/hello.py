"""The floor of everything over HTTP: the same server, answering thirteen bytes."""

from itertools import repeat

from bench.children import child
from bench.load import Load, as_fast_as_possible
from bench.plan import Plan

_REQUEST = b"GET / HTTP/1.1\r\nhost: bench.test\r\nuser-agent: bench\r\naccept: */*\r\n\r\n"


async def hello(plan: Plan) -> Load:
    """Measures a bare Starlette route once."""
    with child("bench.hello_process") as server:
        port = server.hear()["port"]
        return await as_fast_as_possible(
            port,
            repeat(_REQUEST),
            connections=plan.connections,
            warm_up_seconds=plan.warm_up_seconds,
            seconds=plan.seconds,
        )
