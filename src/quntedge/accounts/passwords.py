"""Password hashes: argon2id, computed in threads so that the event loop keeps serving."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import VerifyMismatchError

from quntedge.accounts.rules import normal_password

Result = TypeVar("Result")

# OWASP's first choice for argon2id: 46 MiB, one pass, one lane.
_DEFAULT = PasswordHasher(time_cost=1, memory_cost=47_104, parallelism=1, hash_len=32, salt_len=16, type=Type.ID)
_AT_ONCE = 4


class Passwords:
    """Makes and checks password hashes. At most a few at once, since each takes its memory for itself."""

    def __init__(self, hasher: PasswordHasher = _DEFAULT, *, at_once: int = _AT_ONCE) -> None:
        self._hasher = hasher
        self._slots = asyncio.Semaphore(at_once)
        self._dummy: str | None = None

    async def hash(self, password: str) -> str:
        """The hash to store, with its parameters and salt in it."""
        return await self._run(lambda: self._hasher.hash(normal_password(password)))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Tells whether the password fits. Without a stored hash it takes as long and says no.

        Raises argon2's `InvalidHashError` for a stored text that is no argon2 hash: our fault, not a wrong password.
        """
        if stored is None:
            await self._verify(await self._dummy_hash(), password)
            return False
        return await self._verify(stored, password)

    def is_outdated(self, stored: str) -> bool:
        """Tells whether a hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    async def _verify(self, stored: str, password: str) -> bool:
        try:
            return await self._run(lambda: self._hasher.verify(stored, normal_password(password)))
        except VerifyMismatchError:
            return False
        except UnicodeEncodeError:  # a lone surrogate from JSON: no password can hold one
            return False

    async def _dummy_hash(self) -> str:
        if self._dummy is None:
            self._dummy = await self.hash("nobody's password, for the time it takes")
        return self._dummy

    async def _run(self, work: Callable[[], Result]) -> Result:
        async with self._slots:
            return await asyncio.to_thread(work)
