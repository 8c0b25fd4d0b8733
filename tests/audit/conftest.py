import pytest

from quntedge.storage.unit_of_work import UnitOfWorkFactory
from tests.audit.world import Book


@pytest.fixture
def book(units: UnitOfWorkFactory, database_url: str) -> Book:
    return Book(units, database_url)
