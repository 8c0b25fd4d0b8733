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
    snapshot_path: Path | None = None
    """JSON file that keeps the state over restarts; None keeps it in memory only."""
    start: datetime | None = None
    """Aware UTC time at which the emulator's clock begins; None begins at the real time. A snapshot's clock wins."""
    allow_private_urls: bool = True
    """Whop refuses webhook addresses on private networks. The emulator allows them unless this is False."""
    subscription_failure_behavior: Literal["cancel", "none"] = "cancel"
    """What happens to a membership when the retries of its renewal are used up."""
    refund_settle_seconds: int = 0
    """How long a refund stays pending, in emulator time."""
    delivery_timeout_seconds: float = 5.0
    delivery_concurrency: int = 16
    follower_wait_seconds: float = 2.0
    """Longest real time a jump of the clock waits for those who follow it."""
    snapshot_interval_seconds: float = 1.0
    """Least real time between two snapshot writes."""

    @property
    def api_base_url(self) -> str:
        """Where API clients point, e.g. `http://127.0.0.1:8090/api/v1`."""
        return f"{self.public_base_url}/api/v1"
