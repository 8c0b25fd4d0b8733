"""Database addresses."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from quntedge.settings import ConfigurationError
from quntedge.storage.engine import libpq_url, sqlalchemy_url
from quntedge.storage.unit_of_work import UnitOfWorkFactory


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+asyncpg"])
def test_every_way_to_say_postgresql_leads_to_psycopg(scheme: str) -> None:
    address = f"{scheme}://app:p%40ss@db.example.com:6432/pay?sslmode=require"
    rest = "://app:p%40ss@db.example.com:6432/pay?sslmode=require"
    assert sqlalchemy_url(address) == f"postgresql+psycopg{rest}"
    assert libpq_url(address) == f"postgresql{rest}"


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("", "DATABASE_URL is not an address: write it as"),
        ("localhost", "DATABASE_URL is not an address: write it as"),
        ("host=localhost password=geheim", "DATABASE_URL is not an address: write it as"),
        ("postgresql://app:geheim@host:port/name", "DATABASE_URL is not an address: write it as"),
        ("mysql://app:geheim@localhost/pay", "DATABASE_URL must point at PostgreSQL:"),
        ("sqlite:///pay.db", "DATABASE_URL must point at PostgreSQL:"),
        ("nosuchthing://app:geheim@localhost/pay", "DATABASE_URL must point at PostgreSQL:"),
    ],
)
def test_any_other_address_is_refused_in_one_sentence_without_its_password(address: str, sentence: str) -> None:
    for turn in (sqlalchemy_url, libpq_url):
        with pytest.raises(ConfigurationError) as refused:
            turn(address)
        assert refused.value.detail.startswith(sentence)
        assert "postgresql://user:password@host:5432/name" in refused.value.detail
        assert "geheim" not in refused.value.detail
        # Nor does the library's own error, which repeats the address, show behind ours.
        assert refused.value.__context__ is None or refused.value.__suppress_context__


async def test_parameters_stay_out_of_error_messages(units: UnitOfWorkFactory) -> None:
    async with units() as unit:
        with pytest.raises(DBAPIError) as failed:
            await unit.session.execute(text("SELECT CAST(1 AS text) / :email"), {"email": "ada@example.com"})
    assert "ada" not in str(failed.value)
