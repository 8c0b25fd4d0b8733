"""Broken rules about accounts, sign-in and API keys."""

from quntedge.kit.errors import Conflict, Forbidden, Malformed, NotFound, Unauthenticated


class EmailTaken(Conflict):
    """Somebody has signed up with this address already."""

    code = "email_taken"
    title = "There is an account with this e-mail address already"

    def __init__(self) -> None:
        """The problem names the field, so that a form can show it in its place."""
        message = "There is an account with this e-mail address already. Sign in instead."
        super().__init__(message, extra={"errors": [{"field": "email", "message": message}]})


class WrongCredentials(Unauthenticated):
    """The address or the password is wrong; which one is nobody's business."""

    code = "wrong_credentials"
    title = "E-mail address or password is wrong"


class InvalidApiKey(Unauthenticated):
    """No live API key has this text."""

    code = "invalid_api_key"
    title = "The API key is not valid"


class MissingScope(Forbidden):
    """The API key is valid, but was not made for this."""

    code = "missing_scope"
    title = "The API key may not do this"


class InvalidApiKeyRequest(Malformed):
    """A new API key was asked for with a name or scopes that cannot be."""

    code = "invalid_api_key_request"
    title = "The API key cannot be made like this"


class ApiKeyNotFound(NotFound):
    """There is no API key with this id."""

    code = "api_key_not_found"
    title = "There is no such API key"
