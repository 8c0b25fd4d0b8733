"""What stops the start, in one sentence that says how to mend it."""

import base64
from pathlib import Path
from typing import Any

import pytest

from quntedge.settings import ConfigurationError, Settings, load_settings
from tests.conftest import ENCRYPTION_KEYS, WEBHOOK_SECRET

GOOD: dict[str, str] = {
    "QUNTEDGE_SECRET_KEY": "test-secret-key-test-secret-key-0000",
    "QUNTEDGE_ENCRYPTION_KEYS": ENCRYPTION_KEYS,
    "WHOP_API_KEY": "test-api-key",
    "WHOP_ACCOUNT_ID": "biz_test",
    "WHOP_WEBHOOK_SECRETS": WEBHOOK_SECRET,
}
PRODUCTION = {"WHOP_ENVIRONMENT": "production", "QUNTEDGE_BASE_URL": "https://pay.example.com"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment with what is necessary, and nothing from outside."""
    for field in Settings.model_fields.values():
        monkeypatch.delenv(str(field.validation_alias), raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


def _refusal() -> str:
    with pytest.raises(ConfigurationError) as refused:
        load_settings()
    assert "\n" not in refused.value.detail
    return refused.value.detail


@pytest.mark.parametrize("name", GOOD)
def test_what_is_missing_is_named(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.delenv(name)
    assert _refusal().startswith(f"{name} is missing. ")


WEAK_KEY = base64.b64encode(b"a" * 32).decode()
SHORT_KEY = base64.b64encode(bytes(range(16))).decode()


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("QUNTEDGE_SECRET_KEY", "x" * 31, "QUNTEDGE_SECRET_KEY is too short"),
        ("QUNTEDGE_SECRET_KEY", "", "QUNTEDGE_SECRET_KEY is too short"),
        ("QUNTEDGE_ENCRYPTION_KEYS", "", "QUNTEDGE_ENCRYPTION_KEYS is not usable: no encryption key"),
        ("QUNTEDGE_ENCRYPTION_KEYS", "no-colon", "QUNTEDGE_ENCRYPTION_KEYS is not usable: encryption key number 1"),
        ("QUNTEDGE_ENCRYPTION_KEYS", "a:***", "QUNTEDGE_ENCRYPTION_KEYS is not usable: the encryption key 'a'"),
        ("QUNTEDGE_ENCRYPTION_KEYS", f"a:{SHORT_KEY}", "QUNTEDGE_ENCRYPTION_KEYS is not usable: the encryption key"),
        ("QUNTEDGE_ENCRYPTION_KEYS", f"a:{WEAK_KEY}", "QUNTEDGE_ENCRYPTION_KEYS is not usable: the encryption key"),
        ("WHOP_WEBHOOK_SECRETS", "ws_short", "WHOP_WEBHOOK_SECRETS holds a secret shorter than 16"),
        ("WHOP_WEBHOOK_SECRETS", f"{WEBHOOK_SECRET},ws_short", "WHOP_WEBHOOK_SECRETS holds a secret shorter than 16"),
        ("WHOP_WEBHOOK_SECRETS", " , ", "WHOP_WEBHOOK_SECRETS is not usable"),
        ("WHOP_ACCOUNT_ID", "user_1", "WHOP_ACCOUNT_ID is not usable"),
        ("WHOP_ENVIRONMENT", "live", "WHOP_ENVIRONMENT is not usable"),
        ("WHOP_ENVIRONMENT", "custom", "WHOP_BASE_URL is missing"),
        ("QUNTEDGE_PORT", "0", "QUNTEDGE_PORT is not usable"),
        ("QUNTEDGE_PORT", "eighty", "QUNTEDGE_PORT is not usable"),
        ("QUNTEDGE_POOL_SIZE", "1", "QUNTEDGE_POOL_SIZE is not usable"),
    ],
)
def test_what_is_weak_or_wrong_is_refused_without_repeating_it(
    environment: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    environment.setenv(name, value)
    refusal = _refusal()
    assert refusal.startswith(sentence)
    for secret in (SHORT_KEY, WEAK_KEY, "ws_short", WEBHOOK_SECRET, "x" * 31):
        assert secret not in refusal


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        ({"QUNTEDGE_DEMO": "1"}, "QUNTEDGE_DEMO and QUNTEDGE_CLOCK_URL are refused"),
        ({"QUNTEDGE_CLOCK_URL": "http://127.0.0.1:9000"}, "QUNTEDGE_DEMO and QUNTEDGE_CLOCK_URL are refused"),
        ({"QUNTEDGE_BASE_URL": "http://pay.example.com"}, "QUNTEDGE_BASE_URL must be an https address"),
    ],
)
def test_production_refuses_what_belongs_to_the_demo(
    environment: pytest.MonkeyPatch, extra: dict[str, str], sentence: str
) -> None:
    for name, value in (PRODUCTION | extra).items():
        environment.setenv(name, value)
    assert _refusal().startswith(sentence)


def test_production_with_what_it_needs_starts(environment: pytest.MonkeyPatch) -> None:
    for name, value in PRODUCTION.items():
        environment.setenv(name, value)
    settings = load_settings()
    assert settings.secure_cookies
    assert settings.base_url == "https://pay.example.com"


def test_lists_are_separated_by_commas(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("WHOP_WEBHOOK_SECRETS", f" {WEBHOOK_SECRET} ,ws_another_0123456789,")
    environment.setenv("TRUSTED_PROXIES", "10.0.0.1, 10.0.0.2")
    settings = load_settings()
    secrets = [secret.get_secret_value() for secret in settings.whop_webhook_secrets]
    assert secrets == [WEBHOOK_SECRET, "ws_another_0123456789"]
    assert settings.trusted_proxies == ["10.0.0.1", "10.0.0.2"]
    assert load_settings(trusted_proxies=[]).trusted_proxies == []


@pytest.mark.parametrize(
    ("flags", "file", "port"),
    [({}, "", 8000), ({}, "QUNTEDGE_PORT=8001", 8001), ({"port": 8003}, "QUNTEDGE_PORT=8001", 8003)],
)
def test_a_flag_wins_over_the_environment_and_that_over_the_file(
    environment: pytest.MonkeyPatch, flags: dict[str, Any], file: str, port: int
) -> None:
    Path(".env").write_text(file)
    assert load_settings(**flags).port == port
    environment.setenv("QUNTEDGE_PORT", "8002")
    assert load_settings(**flags).port == flags.get("port", 8002)


def test_a_wrong_flag_is_named_like_its_setting() -> None:
    with pytest.raises(ConfigurationError, match=r"^QUNTEDGE_PORT is not usable"):
        load_settings(port=70_000)


def test_secrets_do_not_show() -> None:
    shown = repr(load_settings(smtp_url="smtp://app:geheim@mail.example.com:587"))
    for secret in (*GOOD.values(), "geheim"):
        assert secret == "biz_test" or secret not in shown


def test_trailing_slashes_of_addresses_do_not_matter() -> None:
    assert load_settings(base_url="http://127.0.0.1:8000/").base_url == "http://127.0.0.1:8000"
