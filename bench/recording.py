"""Writing down what a worker says to PostgreSQL, and saying the same again without the worker.

The floor of the apply benchmark is made like this: the same statements with the same parameters in the same
transactions, sent by a loop of a few lines on psycopg alone. Nothing cheaper can have the same effects in this way, so
what lies between it and the worker is the price of our own code.
"""

import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import psycopg

Step = tuple[Literal["execute", "executemany", "commit"], Any, Any]


@contextmanager
def recorded(*, keep: bool = True) -> Iterator[list[Step]]:
    """The steps that all asynchronous connections of this process take meanwhile. Meant for one that works alone.

    With `keep=False` every commit is turned into its opposite, so that the same steps can be taken once more.
    """
    steps: list[Step] = []
    cursor, connection = psycopg.AsyncCursor, psycopg.AsyncConnection
    originals = cursor.execute, cursor.executemany, connection.commit

    def note(kind: Literal["execute", "executemany", "commit"], original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, query: Any = None, params: Any = None, **options: Any) -> Any:
            steps.append((kind, query, params))
            given = () if kind == "commit" else (query, params)
            return original(self, *given, **options)

        return call

    cursor.execute = note("execute", originals[0])  # type: ignore[method-assign]
    cursor.executemany = note("executemany", originals[1])  # type: ignore[method-assign]
    connection.commit = note("commit", originals[2] if keep else connection.rollback)  # type: ignore[method-assign]
    try:
        yield steps
    finally:
        cursor.execute, cursor.executemany, connection.commit = originals  # type: ignore[method-assign]


def replay(connection: psycopg.Connection, steps: Sequence[Step]) -> None:
    """Takes the steps again and fetches every answer."""
    with connection.cursor() as cursor:
        for kind, query, params in steps:
            if kind == "execute":
                cursor.execute(query, params)
                if cursor.description is not None:
                    cursor.fetchall()
            elif kind == "executemany":
                cursor.executemany(query, params)
            else:
                connection.commit()


class _Found(BaseException):
    """The statement that was looked for; no handler of errors may keep it."""

    def __init__(self, query: str, params: Any) -> None:
        super().__init__()
        self.query = query
        self.params = params


async def first_statement(work: Callable[[], Awaitable[object]], table: str) -> tuple[str, Any]:
    """The first statement with which this work asks for rows of a table. The work goes no further than that; what it
    has done until then is rolled back. Raises LookupError when there is none."""
    name = re.compile(rf"\b(?:FROM|UPDATE|JOIN)\s+{table}\b")
    original = psycopg.AsyncCursor.execute

    def call(self: Any, query: Any, params: Any = None, **options: Any) -> Any:
        text = query.decode() if isinstance(query, bytes) else query
        if isinstance(text, str) and name.search(text):
            raise _Found(text, params)
        return original(self, query, params, **options)

    psycopg.AsyncCursor.execute = call  # type: ignore[method-assign]
    try:
        await work()
    except _Found as found:
        return found.query, found.params
    finally:
        psycopg.AsyncCursor.execute = original  # type: ignore[method-assign]
    raise LookupError(f"nothing asked for rows of {table}")
