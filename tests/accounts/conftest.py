from collections.abc import Iterator
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from quntedge.accounts.passwords import Passwords
from quntedge.accounts.service import AccountService
from quntedge.storage.vault import Vault

SECRET_KEY = "test-secret-key-test-secret-key-0000"


def cheap_passwords(time_cost: int = 1) -> Passwords:
    """Real argon2id with parameters that cost a test nothing."""
    return Passwords(PasswordHasher(time_cost=time_cost, memory_cost=64, parallelism=1))


@pytest.fixture
def accounts(vault: Vault) -> AccountService:
    return AccountService(vault, SECRET_KEY, cheap_passwords())


@pytest.fixture
def statements(engine: AsyncEngine) -> Iterator[list[str]]:
    """The statements sent so far; one with many parameter sets counts once."""
    sent: list[str] = []

    def remember(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", remember)
    yield sent
    event.remove(engine.sync_engine, "before_cursor_execute", remember)
