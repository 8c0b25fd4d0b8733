"""Why subscribers cannot be moved to other terms, and what to do instead."""

from quntedge.kit.errors import Conflict, Malformed, NotFound


class NothingRenews(Conflict):
    """The plan is free, or paid once and for all: its subscribers never pay again."""

    code = "nothing_renews"
    title = "Nobody who has this plan pays again"


class UnknownPlan(NotFound):
    """No plan has this code."""

    code = "plan_to_migrate_not_found"
    title = "There is no such plan"


class VersionNotSold(Conflict):
    """Only the plan's current version can be moved to: earlier ones are not on sale at the gateway any more."""

    code = "version_not_sold"
    title = "This version is not on sale"


class InvalidMigration(Malformed):
    """A number of the request is out of its range; `errors` says which."""

    code = "invalid_plan_migration"
    title = "Subscribers cannot be moved like this"


class MigrationRunning(Conflict):
    """The plan's subscribers are being moved already, in another way than is asked for now."""

    code = "plan_migration_running"
    title = "The subscribers of this plan are being moved already"


class MigrationUnknown(NotFound):
    """No migration has this id, or none of this plan is running."""

    code = "plan_migration_not_found"
    title = "There is no such migration"


class MigrationOver(Conflict):
    """Everybody has been moved, or it has been taken back already."""

    code = "plan_migration_over"
    title = "This migration is over"
