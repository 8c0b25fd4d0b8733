"""Writing down what a worker says to PostgreSQL, and saying the same again without the worker.

The floor of the apply benchmark is made like this: the same statements with the same parameters in the same
transactions, sent by a loop of a few lines on psycopg alone. Nothing cheaper can have the same effects in this way, so
what lies between it and the worker is the price of our own code.
"""

from collections.abc import Callable, Iterator, Sequence
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
