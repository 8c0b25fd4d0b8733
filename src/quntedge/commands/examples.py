"""What people type: for each command a line or two to be copied, shown under its help and in the documentation."""

from collections.abc import Mapping
from typing import Any, Final

EXAMPLES: Final[Mapping[str, tuple[str, ...]]] = {
    "demo": ("quntedge demo", "quntedge demo --port 8100 --emulator-port 8190 --fresh"),
    "web": ("quntedge web", "quntedge web --host 0.0.0.0 --port 8000"),
    "worker": ("quntedge worker",),
    "migrate": ("quntedge migrate",),
    "whop-emulator": ("quntedge whop-emulator", "quntedge whop-emulator --port 8090 --state emulator.sqlite"),
    "clock show": ("quntedge clock show",),
    "clock advance": ("quntedge clock advance --months 1", "quntedge clock advance --to 2027-01-01T12:00Z"),
    "catalog show": ("quntedge catalog show", "quntedge catalog show --archived"),
    "catalog diff": ("quntedge catalog diff catalog.toml",),
    "catalog apply": ("quntedge catalog apply catalog.toml", "quntedge catalog apply catalog.toml --yes"),
    "promotions list": ("quntedge promotions list --archived",),
    "promotions create": (
        "quntedge promotions create launch --title 'Launch' --percent 20 --periods 3 --code LAUNCH",
        "quntedge promotions create five --title 'Five off' --amount usd=5.00 --amount eur=4.50 --max-uses 100",
    ),
    "promotions codes": ("quntedge promotions codes launch --count 500 --max-uses 1 --csv codes.csv",),
    "promotions archive": ("quntedge promotions archive launch",),
    "promotions sync": ("quntedge promotions sync",),
    "promotions report": ("quntedge promotions report --since 30d",),
    "subscriptions show": ("quntedge subscriptions show sub_01m84az9qre2yrp802088q477k",),
    "subscriptions rebuild": (
        "quntedge subscriptions rebuild --verify",
        "quntedge subscriptions rebuild --subscription sub_01m84az9qre2yrp802088q477k",
    ),
    "subscriptions migrate": (
        "quntedge subscriptions migrate monthly --dry-run",
        "quntedge subscriptions migrate monthly --notice-days 45",
    ),
    "subscriptions migrations": ("quntedge subscriptions migrations",),
    "payments list": ("quntedge payments list --status failed --from 2026-10-01",),
    "payments show": ("quntedge payments show txn_01m84az9qre2yrp802088q477k", "quntedge payments show pay_A1"),
    "invoices list": ("quntedge invoices list --limit 20",),
    "invoices credit-notes": ("quntedge invoices credit-notes --limit 20",),
    "invoices show": ("quntedge invoices show inv_01m84az9qre2yrp802088q477k",),
    "invoices pdf": ("quntedge invoices pdf inv_01m84az9qre2yrp802088q477k --out invoice.pdf",),
    "disputes list": ("quntedge disputes list --waiting",),
    "disputes show": ("quntedge disputes show dsp_01m84az9qre2yrp802088q477k",),
    "disputes evidence": ("quntedge disputes evidence dsp_01m84az9qre2yrp802088q477k --out evidence.zip",),
    "disputes submit": ("quntedge disputes submit dsp_01m84az9qre2yrp802088q477k",),
    "disputes accept": ("quntedge disputes accept dsp_01m84az9qre2yrp802088q477k",),
    "disputes alerts": ("quntedge disputes alerts",),
    "disputes alarms": ("quntedge disputes alarms --all",),
    "disputes resolve": ("quntedge disputes resolve dal_01m84az9qre2yrp802088q477k --note 'Whop gave it back'",),
    "ledger balances": ("quntedge ledger balances", "quntedge ledger balances --until 2026-10-01 --json"),
    "ledger statement": (
        "quntedge ledger statement --account gateway_clearing --currency usd",
        "quntedge ledger statement --payment txn_01m84az9qre2yrp802088q477k",
    ),
    "ledger verify": ("quntedge ledger verify",),
    "ledger backfill": ("quntedge ledger backfill", "quntedge ledger backfill --again"),
    "reconcile": (
        "quntedge reconcile --since 7d",
        "quntedge reconcile --since 2026-10-01 --until 2026-11-01 --json",
    ),
    "reconcile differences": (
        "quntedge reconcile differences",
        "quntedge reconcile differences --period 2026-10 --state all",
    ),
    "reconcile show": ("quntedge reconcile show mdf_01m84az9qre2yrp802088q477k",),
    "reconcile resolve": (
        "quntedge reconcile resolve mdf_01m84az9qre2yrp802088q477k --as explained --note 'a card from abroad'",
    ),
    "reconcile approve": ("quntedge reconcile approve mdf_01m84az9qre2yrp802088q477k",),
    "reconcile reject": ("quntedge reconcile reject mdf_01m84az9qre2yrp802088q477k",),
    "reconcile list": ("quntedge reconcile list --limit 5",),
    "reconcile close": ("quntedge reconcile close 2026-10",),
    "reconcile report": ("quntedge reconcile report --out report.html",),
    "webhooks causes": ("quntedge webhooks causes",),
    "webhooks list": ("quntedge webhooks list --state dead --since 7d",),
    "webhooks show": ("quntedge webhooks show whe_01m84az9qre2yrp802088q477k --body",),
    "webhooks replay": (
        "quntedge webhooks replay whe_01m84az9qre2yrp802088q477k",
        "quntedge webhooks replay --state dead --since 24h",
    ),
    "webhooks endpoint": ("quntedge webhooks endpoint",),
    "refunds list": ("quntedge refunds list --status requested",),
    "refunds show": ("quntedge refunds show ref_01m84az9qre2yrp802088q477k",),
    "refunds request": (
        "quntedge refunds request txn_01m84az9qre2yrp802088q477k --amount 10.00 --reason requested_by_customer",
    ),
    "refunds approve": ("quntedge refunds approve ref_01m84az9qre2yrp802088q477k",),
    "refunds reject": ("quntedge refunds reject ref_01m84az9qre2yrp802088q477k --note 'paid back in cash'",),
    "mails list": ("quntedge mails list",),
    "mails show": ("quntedge mails show payment_failed --locale fr",),
    "mails edit": ("quntedge mails edit payment_failed --locale en", "quntedge mails edit payment_failed --html"),
    "mails check": ("quntedge mails check",),
    "mails preview": ("quntedge mails preview payment_failed --output mails.html",),
    "mails history": ("quntedge mails history payment_failed --locale en",),
    "mails reset": ("quntedge mails reset payment_failed --locale en",),
    "attention": ("quntedge attention", "quntedge attention --json", "quntedge attention --done chg_…"),
    "processes list": ("quntedge processes list --state stuck",),
    "processes show": ("quntedge processes show prc_01m84az9qre2yrp802088q477k",),
    "processes retry": ("quntedge processes retry prc_01m84az9qre2yrp802088q477k",),
    "audit list": (
        "quntedge audit list --outcome denied --since 7d",
        "quntedge audit list --subject ref_01m84az9qre2yrp802088q477k --json",
    ),
    "audit verify": ("quntedge audit verify", "quntedge audit verify --anchor anchor.json"),
    "audit anchor": ("quntedge audit anchor --out anchor.json",),
    "api-key create": ("quntedge api-key create 'Host app' --scope access:read --holder kim",),
    "api-key list": ("quntedge api-key list",),
    "api-key revoke": ("quntedge api-key revoke key_01m84az9qre2yrp802088q477k",),
    "doctor": ("quntedge doctor",),
    "keys": ("quntedge keys",),
    "keys status": ("quntedge keys status",),
    "keys rewrap": ("quntedge keys rewrap",),
    "version": ("quntedge version",),
}
"""By the command's full name, without the program's."""


def attach(command: Any, name: str) -> None:
    """Puts the examples of a command, and of the commands within it, under their help."""
    for inner, part in getattr(command, "commands", {}).items():
        attach(part, f"{name} {inner}")
    lines = EXAMPLES.get(name)
    if lines:
        # Paragraphs, because within one the help breaks lines where it likes.
        command.epilog = "\n\n".join(("For example:", *lines))
