"""Configuration from the environment or a `.env` file. Nothing here is read at import time.

Every field carries its environment name and a description; the configuration page of the docs is generated from them.
"""

from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from quntedge.kit.crypto import KeyRing
from quntedge.kit.errors import QuntedgeError
from quntedge.kit.money import Money


class ConfigurationError(QuntedgeError):
    """The product cannot start with these settings; the detail says which one and how to mend it."""

    code = "configuration"
    status = 500
    title = "The configuration is not usable"


def _split_commas(value: object) -> object:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _known_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError("there is no such time zone; write it as Europe/Paris or UTC") from None
    return value


def _without_trailing_slash(value: str) -> str:
    return value.rstrip("/")


def _limits(value: str) -> dict[str, Money]:
    """Amounts by currency. Raises ValueError for what is no amount, and for a currency that comes twice."""
    found: dict[str, Money] = {}
    for part in filter(None, (part.strip() for part in value.split(","))):
        amount, _, currency = part.partition(" ")
        limit = Money.parse(amount, currency.strip())
        if limit.amount_minor < 0 or limit.currency in found:
            raise ValueError(f"write each currency once, with an amount from zero up, not {part!r}")
        found[limit.currency] = limit
    return found


def _amounts(value: str) -> str:
    _limits(value)
    return value


def _mailboxes(values: list[str]) -> list[str]:
    """Addresses, each once. Raises ValueError for what is none."""
    for value in values:
        local, _, host = value.rpartition("@")
        if not local or "." not in host.strip(".") or not value.isascii() or not value.isprintable() or " " in value:
            raise ValueError("write addresses as ops@example.com, separated by commas")
    return list(dict.fromkeys(values))


Url = Annotated[str, AfterValidator(_without_trailing_slash)]


class Settings(BaseSettings):
    """All settings of every process. Commands take some of them as flags as well; a flag wins."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", extra="ignore", populate_by_name=True, frozen=True
    )

    database_url: str | None = Field(
        None,
        validation_alias="DATABASE_URL",
        description="PostgreSQL 15 or newer, as postgresql://user:password@host/name. "
        "Unset: an embedded server keeps its data under QUNTEDGE_DATA_DIR.",
    )
    data_dir: Path = Field(
        Path(".quntedge"),
        validation_alias="QUNTEDGE_DATA_DIR",
        description="Folder for the embedded database and the demo's files.",
    )
    base_url: Url = Field(
        "http://127.0.0.1:8000",
        validation_alias="QUNTEDGE_BASE_URL",
        description="Public address of this installation, as customers and Whop see it. https in production.",
    )
    host: str = Field("127.0.0.1", validation_alias="QUNTEDGE_HOST", description="Address the web server listens on.")
    port: int = Field(
        8000, ge=1, le=65535, validation_alias="QUNTEDGE_PORT", description="Port the web server listens on."
    )
    secret_key: SecretStr = Field(
        validation_alias="QUNTEDGE_SECRET_KEY",
        description="At least 32 characters; keys the tokens that guard forms. Make one with `quntedge keys`.",
    )
    encryption_keys: SecretStr = Field(
        validation_alias="QUNTEDGE_ENCRYPTION_KEYS",
        description="Keys that wrap personal data keys, as name:base64 of 32 bytes, comma-separated; the first one "
        "is used for new data, the others still open old data. Make one with `quntedge keys`; `quntedge keys status` "
        "says which are needed.",
    )
    whop_environment: Literal["production", "sandbox", "custom"] = Field(
        "sandbox", validation_alias="WHOP_ENVIRONMENT", description="Which Whop to talk to."
    )
    whop_base_url: Url | None = Field(
        None,
        validation_alias="WHOP_BASE_URL",
        description="API address for WHOP_ENVIRONMENT=custom, for example of `quntedge whop-emulator`.",
    )
    whop_api_key: SecretStr = Field(validation_alias="WHOP_API_KEY", description="Account API key from Whop.")
    whop_account_id: str = Field(
        validation_alias="WHOP_ACCOUNT_ID",
        pattern=r"^biz_[A-Za-z0-9]+$",
        description="Our account at Whop, biz_…; events of other accounts are refused.",
    )
    whop_webhook_secrets: Annotated[list[SecretStr], NoDecode, BeforeValidator(_split_commas)] = Field(
        validation_alias="WHOP_WEBHOOK_SECRETS",
        min_length=1,
        description="Secrets of our webhook endpoints, exactly as Whop shows them (ws_ prefix included), "
        "comma-separated; several are accepted at once so that they can be rotated.",
    )
    smtp_url: SecretStr | None = Field(
        None,
        validation_alias="SMTP_URL",
        description="Mail server, as smtp://user:password@host:587 (STARTTLS) or smtps://…:465. Unset: mails are "
        "kept in the queue and the start warns about it.",
    )
    mail_from: str = Field(
        "QuntEdge <billing@localhost>", validation_alias="MAIL_FROM", description="Sender of all mails."
    )
    support_email: str = Field(
        "support@localhost", validation_alias="SUPPORT_EMAIL", description="Address customers are told to write to."
    )
    product_name: str = Field(
        "QuntEdge", validation_alias="PRODUCT_NAME", description="Name on pages, mails and invoices."
    )
    staff_emails: Annotated[list[str], NoDecode, BeforeValidator(_split_commas), AfterValidator(_mailboxes)] = Field(
        default_factory=list,
        validation_alias="QUNTEDGE_STAFF_EMAILS",
        description="Addresses of those who look after disputes, comma-separated: they get a mail when one opens, "
        "three days and one day before evidence is due, and when one is lost. Unset: alarms and metrics alone say so.",
    )
    staff_locale: Literal["en", "fr"] = Field(
        "en", validation_alias="QUNTEDGE_STAFF_LOCALE", description="Language of mails to staff."
    )
    log_format: Literal["console", "json"] = Field(
        "console", validation_alias="LOG_FORMAT", description="console for people, json for machines."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", validation_alias="LOG_LEVEL", description="Least severe level that is logged."
    )
    trusted_proxies: Annotated[list[str], NoDecode, BeforeValidator(_split_commas)] = Field(
        default_factory=list,
        validation_alias="TRUSTED_PROXIES",
        description="Addresses of reverse proxies whose X-Forwarded-For is believed, comma-separated.",
    )
    withdrawal_refund: Literal["full", "pro_rata"] = Field(
        "full",
        validation_alias="QUNTEDGE_WITHDRAWAL_REFUND",
        description="What is owed to consumers who withdraw within 14 days: full, or pro_rata (the time that is left) "
        "where your checkout has them ask expressly that the service begins at once.",
    )
    tax_remitted_by: Literal["gateway", "seller"] = Field(
        "gateway",
        validation_alias="QUNTEDGE_TAX_REMITTED_BY",
        description="Who passes the tax on sales on to the authorities: gateway (Whop takes it out of the payment as "
        "it does its fees) or seller (it stays a debt of yours). As it is set up at Whop; counts for the ledger.",
    )
    refund_approval_above: Annotated[str, AfterValidator(_amounts)] = Field(
        "100.00 usd, 100.00 eur, 100.00 gbp",
        validation_alias="QUNTEDGE_REFUND_APPROVAL_ABOVE",
        description="Refunds above these amounts wait until a second person approves them; in a currency that is not "
        "listed all do. One amount for each currency, comma-separated.",
    )
    clock_url: Url | None = Field(
        None,
        validation_alias="QUNTEDGE_CLOCK_URL",
        description="Control address of the emulator whose clock this process follows; for demo and tests only.",
    )
    demo: bool = Field(
        False,
        validation_alias="QUNTEDGE_DEMO",
        description="Shows the demo's mailbox and links to the emulator; refused with WHOP_ENVIRONMENT=production.",
    )
    worker_metrics_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        validation_alias="QUNTEDGE_WORKER_METRICS_PORT",
        description="Port on which a worker serves its own Prometheus metrics. Unset: it serves none.",
    )
    worker_batch: int = Field(
        500, ge=1, le=2000, validation_alias="QUNTEDGE_WORKER_BATCH", description="Webhook events claimed at once."
    )
    time_zone: Annotated[str, AfterValidator(_known_zone)] = Field(
        "UTC",
        validation_alias="QUNTEDGE_TIME_ZONE",
        description="Time zone of customers who have not told theirs, as Europe/Paris: payments are tried again in "
        "their day-time, and the days that pages and mails name are theirs.",
    )
    renewal_gap_hours: int = Field(
        6,
        ge=1,
        le=72,
        validation_alias="QUNTEDGE_RENEWAL_GAP_HOURS",
        description="Hours after the end of a period before we ask Whop for a renewal that it has not told us of; "
        "counts for periods that begin from now on.",
    )
    seller_name: str | None = Field(
        None,
        validation_alias="QUNTEDGE_SELLER_NAME",
        description="Legal name of whoever sells, as invoices say it. Unset: PRODUCT_NAME.",
    )
    seller_code: str = Field(
        "",
        pattern=r"^[A-Z0-9]{0,8}$",
        validation_alias="QUNTEDGE_SELLER_CODE",
        description="Stands before the numbers of invoices and credit notes. Give another legal entity another code: "
        "each has numbers of its own.",
    )
    seller_line1: str | None = Field(
        None, validation_alias="QUNTEDGE_SELLER_LINE1", description="First line of the seller's address."
    )
    seller_line2: str | None = Field(
        None, validation_alias="QUNTEDGE_SELLER_LINE2", description="Second line of the seller's address."
    )
    seller_postcode: str | None = Field(
        None, validation_alias="QUNTEDGE_SELLER_POSTCODE", description="Postcode of the seller."
    )
    seller_city: str | None = Field(None, validation_alias="QUNTEDGE_SELLER_CITY", description="City of the seller.")
    seller_country: str | None = Field(
        None,
        pattern=r"^[A-Z]{2}$",
        validation_alias="QUNTEDGE_SELLER_COUNTRY",
        description="Country of the seller, as two letters. Without it invoices carry no structured data (Factur-X).",
    )
    seller_vat_id: str | None = Field(
        None, validation_alias="QUNTEDGE_SELLER_VAT_ID", description="VAT number of the seller, with its country."
    )
    seller_registration: str | None = Field(
        None,
        validation_alias="QUNTEDGE_SELLER_REGISTRATION",
        description="What else invoices must say of the seller in one line, as a register and a number in it.",
    )
    seller_note: str | None = Field(
        None,
        validation_alias="QUNTEDGE_SELLER_NOTE",
        description="A sentence below the amounts, as the reason why no VAT is charged.",
    )
    seller_logo: str | None = Field(
        None,
        validation_alias="QUNTEDGE_SELLER_LOGO",
        description="Path of an SVG or PNG file of at most 256 KiB that stands at the head of invoices; none: no "
        "picture. Unset: the product's mark.",
    )
    document_fonts: str | None = Field(
        None,
        validation_alias="QUNTEDGE_DOCUMENT_FONTS",
        description="Folder with further fonts (.ttf, .otf, .ttc, .otc) for invoices, where customers write their "
        "names in other than Latin, Greek or Cyrillic letters.",
    )
    seller_time_zone: Annotated[str, AfterValidator(_known_zone)] = Field(
        "UTC",
        validation_alias="QUNTEDGE_SELLER_TIME_ZONE",
        description="Time zone in which the seller's days and years begin: the dates and series of invoices.",
    )
    pool_size: int = Field(
        10, ge=2, le=200, validation_alias="QUNTEDGE_POOL_SIZE", description="Database connections per process."
    )

    @property
    def secure_cookies(self) -> bool:
        """Whether cookies may travel over https only."""
        return self.base_url.startswith("https://")

    def refund_limits(self) -> dict[str, Money]:
        """The amounts, by currency, above which a refund needs a second person."""
        return _limits(self.refund_approval_above)

    def key_ring(self) -> KeyRing:
        """The keys that wrap data keys. Raises `ConfigurationError` for weak or malformed ones."""
        try:
            return KeyRing.parse(self.encryption_keys.get_secret_value())
        except ValueError as error:
            raise ConfigurationError(f"QUNTEDGE_ENCRYPTION_KEYS is not usable: {error}") from None


def load_settings(**overrides: object) -> Settings:
    """Reads the environment and `.env`; `overrides` win. Raises `ConfigurationError` with one clear sentence."""
    try:
        settings = Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        raise ConfigurationError(_explain(error)) from None
    _refuse_unsafe(settings)
    return settings


def _explain(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else "settings"
    field = Settings.model_fields.get(name)
    env_name = str(field.validation_alias) if field else name
    what = "is missing" if first["type"] == "missing" else f"is not usable: {first['msg']}"
    description = next(
        (f.description or "" for f in Settings.model_fields.values() if f.validation_alias == env_name), ""
    )
    return f"{env_name} {what}. {description}".strip()


def _refuse_unsafe(settings: Settings) -> None:
    if len(settings.secret_key.get_secret_value()) < 32:
        raise ConfigurationError("QUNTEDGE_SECRET_KEY is too short: use at least 32 random characters.")
    settings.key_ring()
    for secret in settings.whop_webhook_secrets:
        if len(secret.get_secret_value()) < 16:
            raise ConfigurationError(
                "WHOP_WEBHOOK_SECRETS holds a secret shorter than 16 characters: copy it as Whop shows it,"
                " with its ws_ prefix."
            )
    if settings.whop_environment == "custom" and settings.whop_base_url is None:
        raise ConfigurationError("WHOP_BASE_URL is missing: WHOP_ENVIRONMENT=custom needs the address of the API.")
    if settings.whop_environment == "production":
        if settings.demo or settings.clock_url:
            raise ConfigurationError(
                "QUNTEDGE_DEMO and QUNTEDGE_CLOCK_URL are refused with WHOP_ENVIRONMENT=production."
            )
        if not settings.base_url.startswith("https://"):
            raise ConfigurationError("QUNTEDGE_BASE_URL must be an https address with WHOP_ENVIRONMENT=production.")
