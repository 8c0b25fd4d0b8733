"""Alembic's entry point. The connection comes from `storage.migrate`, never from an ini file."""

from alembic import context

from quntedge.storage.migrate import include_object


def run() -> None:
    """Runs the migrations on the connection handed over, one transaction for each."""
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=context.config.attributes["metadata"],
        include_object=include_object,
        transaction_per_migration=True,
        compare_type=True,
        compare_server_default=False,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
