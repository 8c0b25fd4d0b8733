"""What can be wrong with a request before any feature has seen it."""

from quntedge.kit.errors import (
    Forbidden,
    InvalidRequest,
    NotFound,
    QuntedgeError,
    Unauthenticated,
    Unavailable,
)


class NotSignedIn(Unauthenticated):
    """The route is for customers and nobody is signed in (or the session has ended)."""

    code = "not_signed_in"
    title = "Sign in first"


class CsrfFailed(Forbidden):
    """A form or call with a session cookie came without the token that only our own pages hold."""

    code = "csrf_failed"
    title = "This form can no longer be used"

    def __init__(self) -> None:
        """The same text whatever the cause: missing, wrong, of another session, from another site."""
        super().__init__("The form is too old or did not come from our pages. Reload the page and send it again.")


class NothingToManage(NotFound):
    """There is no subscription at the gateway whose portal could be opened."""

    code = "nothing_to_manage"
    title = "There is nothing to manage"


class InvalidJson(InvalidRequest):
    """The body is not JSON."""

    code = "invalid_json"
    title = "The body is not valid JSON"


class InvalidBody(InvalidRequest):
    """The body cannot be read as what its content type says."""

    code = "invalid_body"
    title = "The body cannot be read"


class DuplicateMember(InvalidRequest):
    """A JSON object in the body names one of its members twice."""

    code = "duplicate_member"
    title = "The body names something twice"

    def __init__(self, name: str) -> None:
        """`name` of the member."""
        super().__init__(f"An object in the body has the member {name[:64]!r} twice. Send each member once.")


class NulCharacter(InvalidRequest):
    """The query of the address holds the character U+0000, which no text here can have."""

    code = "nul_character"
    title = "The address holds a NUL character"

    def __init__(self) -> None:
        """The same text everywhere."""
        super().__init__("The address holds the character U+0000 (%00), which no text here has. Leave it out.")


class MissingUser(InvalidRequest):
    """A service must say about which user it asks."""

    code = "missing_user"
    title = "Name the user"

    def __init__(self) -> None:
        """The same text everywhere."""
        super().__init__("A service names the user it asks about: add ?user=usr_… to the address.")


class InvalidId(InvalidRequest):
    """An id that nothing of ours can have."""

    code = "invalid_id"
    title = "The id is not valid"


class DatabaseUnavailable(Unavailable):
    """The database does not answer, or could not do this in time. Nothing was changed."""

    code = "database_unavailable"
    title = "Temporarily unavailable"

    def __init__(self) -> None:
        """The same text whatever the database said."""
        super().__init__(
            "We cannot reach our records for the moment. Nothing was changed; try again shortly.", retry_after_seconds=5
        )


class NotReady(Unavailable):
    """This process should not be sent requests; the detail says what is missing."""

    code = "not_ready"
    title = "Not ready"


class InternalError(QuntedgeError):
    """Something nobody expected. The log has the traceback under the request id; the caller gets only that id."""

    code = "internal_error"
    status = 500
    title = "Something went wrong on our side"
