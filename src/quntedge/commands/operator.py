"""Who is at the terminal, for the record of who did what."""

import getpass
import os


def operator() -> str:
    """The operating system's user, by number where it has no name (as in a container)."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = str(os.getuid())
    return f"staff:{name}@cli"
