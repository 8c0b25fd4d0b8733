"""What the API sends and reads about promotions."""

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field

from quntedge.api.models import CurrencyCode, In, MoneyOut, Out, PlanCode
from quntedge.checkout.promotion_report import Holding, PromotionReport, ReportRow
from quntedge.kit.money import Money
from quntedge.pricing.labels import line_text
from quntedge.pricing.rules import Line, Price
from quntedge.promotions.queries import CodeView, PromotionView
from quntedge.promotions.reserving import Offer
from quntedge.promotions.rules import MOST_CODES_AT_ONCE, MOST_PERIODS, MOST_USES, PromotionSpec
from quntedge.promotions.service import Batch
from quntedge.promotions.sync import PromoSyncReport

TypedCode = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        description="A promotion code as the customer typed it: case, blanks and full-width digits make no difference.",
        examples=["LAUNCH20"],
    ),
]
Minor = Annotated[int, Field(strict=True, gt=0, le=2**63 - 1)]


class ValidateIn(In):
    """A code, and what it is to be used for."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"plan": "monthly", "promotion_code": "LAUNCH20"}]}
    )

    plan: PlanCode
    promotion_code: TypedCode
    currency: CurrencyCode | None = None


class LineOut(Out):
    """One line of a price. The lines of a price add up to its total."""

    kind: str = Field(examples=["discount"], description="plan, proration, discount or tax.")
    label: str = Field(examples=["promotion"])
    text: str = Field(examples=["LAUNCH20: 20% off"], description="The line in the customer's language.")
    amount: MoneyOut
    period_start: datetime | None
    period_end: datetime | None

    @classmethod
    def of(cls, line: Line, locale: str) -> "LineOut":
        """A line."""
        return cls(
            kind=line.kind.value,
            label=line.label.value,
            text=line_text(line, locale),
            amount=MoneyOut.of(line.amount),
            period_start=line.period_start,
            period_end=line.period_end,
        )


class PriceOut(Out):
    """What one charge comes to, line by line. Tax that only the payment provider knows is not in it."""

    lines: list[LineOut]
    total: MoneyOut

    @classmethod
    def of(cls, price: Price, locale: str) -> "PriceOut":
        """A price."""
        return cls(lines=[LineOut.of(line, locale) for line in price.lines], total=MoneyOut.of(price.total))


class OfferOut(Out):
    """What a code makes of a plan's price. Nothing is held by asking.

    `today` is charged at once (nothing where a trial comes first), `first` is the first charge of the plan itself.
    `discounted_charges` says how many charges cost as `first` does, null: all of them; `regular` is what each costs
    after that, null where nothing renews.
    """

    promotion_code: str = Field(examples=["LAUNCH20"])
    name: str
    percent_bp: int | None = Field(examples=[2000])
    amount_off: MoneyOut | None
    saved: MoneyOut
    today: PriceOut
    first: PriceOut
    discounted_charges: int | None = Field(examples=[1])
    regular: PriceOut | None

    @classmethod
    def of(cls, offer: Offer, locale: str) -> "OfferOut":
        """An offer."""
        shown, discount = offer.preview, offer.discount
        return cls(
            promotion_code=offer.code,
            name=offer.promotion,
            percent_bp=discount.percent_bp,
            amount_off=None if discount.amount is None else MoneyOut.of(discount.amount),
            saved=MoneyOut.of(shown.saved),
            today=PriceOut.of(shown.today, locale),
            first=PriceOut.of(shown.first, locale),
            discounted_charges=shown.discounted_charges,
            regular=None if shown.regular is None else PriceOut.of(shown.regular, locale),
        )


class PromotionIn(In):
    """A promotion as it is to be. Either `percent_bp` or `amounts` says what comes off."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"name": "Launch", "percent_bp": 2000, "periods": 3, "max_uses": 500, "codes": ["LAUNCH20"]}]
        },
    )

    name: str = Field(min_length=1, max_length=60)
    percent_bp: int | None = Field(default=None, strict=True, description="Hundredths of a percent: 2000 is 20 %.")
    amounts: dict[CurrencyCode, Minor] = Field(
        default_factory=dict, description="By currency, in minor units.", examples=[{"usd": 500, "eur": 450}]
    )
    periods: int | None = Field(
        default=1, strict=True, ge=1, le=MOST_PERIODS, description="How many charges it lowers; null: all of them."
    )
    plans: list[PlanCode] | None = Field(default=None, description="Codes of plans; null: every plan.")
    first_purchase_only: bool = False
    max_uses: int | None = Field(default=None, strict=True, ge=1, le=MOST_USES)
    max_per_customer: int | None = Field(default=None, strict=True, ge=1, le=MOST_USES)
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    at_whop: bool = Field(
        default=False, description="Whether its codes stand at Whop too, for purchases there. Only without limits."
    )
    codes: list[TypedCode] = Field(default_factory=list, max_length=100, description="Codes that it is to have.")

    def spec(self, code: str) -> PromotionSpec:
        """The promotion of this name. Raises `InvalidMoney` for an unknown currency."""
        return PromotionSpec(
            code=code,
            name=self.name,
            percent_bp=self.percent_bp,
            amounts={currency: Money(minor, currency) for currency, minor in self.amounts.items()},
            periods=self.periods,
            plans=None if self.plans is None else tuple(self.plans),
            first_purchase_only=self.first_purchase_only,
            max_uses=self.max_uses,
            max_per_customer=self.max_per_customer,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            at_whop=self.at_whop,
        )


class PromotionOut(Out):
    """A promotion. `uses` counts what is used and what open checkouts hold; `codes` are those that can be used."""

    id: str = Field(examples=["prm_01k4a2f0e8f9xa3s6m1q2r7v5z"])
    code: str = Field(examples=["launch"])
    name: str
    percent_bp: int | None
    amounts: list[MoneyOut]
    periods: int | None
    plans: list[str] | None
    first_purchase_only: bool
    max_uses: int | None
    max_per_customer: int | None
    starts_at: datetime | None
    ends_at: datetime | None
    at_whop: bool
    uses: int
    codes: int
    version: int
    origin: str = Field(examples=["staff"], description="catalog or staff.")
    created_by: str
    created_at: datetime
    archived_at: datetime | None

    @classmethod
    def of(cls, view: PromotionView) -> "PromotionOut":
        """A promotion."""
        spec = view.spec
        return cls(
            id=view.id,
            code=spec.code,
            name=spec.name,
            percent_bp=spec.percent_bp,
            periods=spec.periods,
            first_purchase_only=spec.first_purchase_only,
            max_uses=spec.max_uses,
            max_per_customer=spec.max_per_customer,
            starts_at=spec.starts_at,
            ends_at=spec.ends_at,
            at_whop=spec.at_whop,
            amounts=[MoneyOut.of(amount) for amount in spec.amounts.values()],
            plans=None if spec.plans is None else list(spec.plans),
            uses=view.uses,
            codes=view.codes,
            version=view.version,
            origin=view.origin,
            created_by=view.created_by,
            created_at=view.created_at,
            archived_at=view.archived_at,
        )


class PromotionListOut(Out):
    """Promotions, newest first."""

    data: list[PromotionOut]


class CodesIn(In):
    """Codes to add: named ones, or `count` random ones behind `prefix`, each of at most `max_uses`."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"count": 100, "prefix": "VIP", "max_uses": 1}]}
    )

    named: list[TypedCode] = Field(default_factory=list, max_length=MOST_CODES_AT_ONCE)
    count: int = Field(default=0, strict=True, ge=0, le=MOST_CODES_AT_ONCE)
    prefix: str = Field(default="", max_length=24)
    max_uses: int | None = Field(default=None, strict=True, ge=1, le=MOST_USES)


class BatchOut(Out):
    """Codes that were made. `batch` finds them again in the list of codes."""

    batch: str
    codes: list[str]

    @classmethod
    def of(cls, batch: Batch) -> "BatchOut":
        """A batch."""
        return cls(batch=batch.id, codes=list(batch.codes))


class CodeOut(Out):
    """A code."""

    code: str
    max_uses: int | None
    uses: int
    batch: str | None
    whop_promo_id: str | None
    created_at: datetime
    archived_at: datetime | None

    @classmethod
    def of(cls, view: CodeView) -> "CodeOut":
        """A code."""
        return cls(
            code=view.code,
            max_uses=view.max_uses,
            uses=view.uses,
            batch=view.batch,
            whop_promo_id=view.whop_promo_id,
            created_at=view.created_at,
            archived_at=view.archived_at,
        )


class ReportRowOut(Out):
    """One promotion in one currency; `code` is null for promo codes that only Whop knows.

    `uses` counts purchases, `payments` also their renewals. `revenue` has refunds taken off. `differing` counts
    payments that were lowered by another amount than was shown.
    """

    code: str | None
    name: str | None
    currency: str
    uses: int
    payments: int
    discounts: MoneyOut
    revenue: MoneyOut
    differing: int

    @classmethod
    def of(cls, row: ReportRow) -> "ReportRowOut":
        """A row."""
        return cls(
            code=row.code,
            name=row.name,
            currency=row.currency,
            uses=row.uses,
            payments=row.payments,
            discounts=MoneyOut.of(row.discounts),
            revenue=MoneyOut.of(row.revenue),
            differing=row.differing,
        )


class HoldingOut(Out):
    """Uses held by open checkouts now, and purchases that were paid without the code they held."""

    code: str
    held: int
    paid_without_code: int

    @classmethod
    def of(cls, holding: Holding) -> "HoldingOut":
        """One promotion's."""
        return cls(code=holding.code, held=holding.held, paid_without_code=holding.paid_without_code)


class PromotionReportOut(Out):
    """Uses and revenue by promotion and currency."""

    data: list[ReportRowOut]
    holdings: list[HoldingOut]

    @classmethod
    def of(cls, report: PromotionReport) -> "PromotionReportOut":
        """A report."""
        return cls(
            data=[ReportRowOut.of(row) for row in report.rows],
            holdings=[HoldingOut.of(holding) for holding in report.holdings],
        )


class PromoSyncOut(Out):
    """What was done at Whop about codes that stand there under their own names."""

    made: list[str]
    archived: list[str]
    refused: dict[str, str]

    @classmethod
    def of(cls, report: PromoSyncReport) -> "PromoSyncOut":
        """A report."""
        return cls(made=list(report.made), archived=list(report.archived), refused=report.refused)
