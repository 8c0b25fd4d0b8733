"""The state as emulators kept it before it was a SQLite file: one JSON document, read once and never written."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from quntedge.gateway.emulator.keeping.sqlite_state import StateUnreadable
from quntedge.gateway.emulator.state.store import Tables

FORMAT = 1


@dataclass(slots=True)
class EarlierState:
    """What such a file holds."""

    format: int
    account_id: str
    clock_offset_seconds: float
    clock_version: int
    tables: Tables


def read_earlier(state_path: Path, account_id: str) -> EarlierState | None:
    """The state in the JSON file that lies beside a new state file under the same name; None when there is none.

    Raises `StateUnreadable` with a sentence that says what to do about it.
    """
    path = state_path.with_suffix(".json")
    if not path.exists():
        return None
    try:
        found = TypeAdapter(EarlierState).validate_json(path.read_bytes())
    except ValidationError as error:
        raise StateUnreadable(f"{path} is no emulator's state; move it away to start afresh.") from error
    if found.format != FORMAT or found.account_id != account_id:
        raise StateUnreadable(f"{path} belongs to another account or version; move it away to start afresh.")
    return found
