"""Who is at the terminal, for the record of who did what."""

import os
import pwd

from quntedge.accounts.rules import holder_name, staff


def operator_name() -> str:
    """The operating system's user, by number where it has no name (as in a container).

    Asked of the system, not of the environment, where anybody can write any name.
    """
    number = os.getuid()
    try:
        return holder_name(pwd.getpwuid(number).pw_name)
    except KeyError:
        return str(number)


def operator() -> str:
    """The operator as records name them: the same person as the holder of an API key of that name."""
    return staff(operator_name())
