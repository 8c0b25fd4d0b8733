"""What an emulator can be told when it starts."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class EmulatorConfig:
    """Settings of one emulator. Everything has a default that suits a local machine."""

    api_key: str = "whop_emulator_key"
    """The only accepted bearer token of the API."""
    account_id: str = "biz_emulator"
    account_title: str = "QuntEdge"
    public_base_url: str = "http://127.0.0.1:8090"
    """Address under which buyers and API clients reach the emulator; no trailing slash."""
    seed: int = 1
    """Decides ids, license keys and the order of shuffled deliveries."""
    state_path: Path | None = None
    """SQLite file that keeps the state over restarts; None keeps it in memory only."""
    start: datetime | None = None
    """Aware UTC time at which the emulator's clock begins; None begins at the real time. A state file's clock wins."""
    allow_private_urls: bool = True
    """Whop refuses webhook addresses on private networks. The emulator allows them unless this is False."""
    subscription_failure_behavior: Literal["cancel", "none"] = "cancel"
    """What happens to a membership when the retries of its renewal are used up."""
    past_due_access: bool = True
    """Whether a membership gives access while its renewal is overdue: a dashboard setting at Whop."""
    refund_settle_seconds: int = 0
    """How long a refund stays pending, in emulator time."""
    collect_seconds: int = 0
    """How long a charge asked for with POST /payments waits before it is made, in emulator time."""
    real_stamps: bool = False
    """Signs deliveries with the real time instead of the emulator's: for receivers that do not follow its clock and
    would refuse what seems to come from another month. Everything inside a delivery keeps the emulator's time."""
    delivery_timeout_seconds: float = 5.0
    delivery_concurrency: int = 16
    """How many deliveries to one endpoint may be on their way at once."""
    rate_limit_per_minute: int = 0
    """Requests a minute of the emulator's clock for each operation and credential; Whop's is 600, 0 is no limit."""
    follower_wait_seconds: float = 10.0
    """Longest real time a jump of the clock waits for those who follow it to know of it."""
    follower_work_seconds: float = 60.0
    """Longest real time the clock stands at an instant for those who follow it to finish what is due then."""
    state_interval_seconds: float = 0.25
    """Real time between two looks for changes to write to the state file: what a killed emulator loses at most."""

    @property
    def api_base_url(self) -> str:
        """Where API clients point, e.g. `http://127.0.0.1:8090/api/v1`."""
        return f"{self.public_base_url}/api/v1"
