"""What the API sends and reads about the catalogue as a whole: for the tools of those who run the installation."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from quntedge.api.models import In, MoneyOut, Out
from quntedge.api.promotion_models import PromoSyncOut
from quntedge.catalog.features import FeatureValue
from quntedge.catalog.gateway_sync import SyncReport
from quntedge.catalog.outlook import CatalogDiff, Subscribers
from quntedge.catalog.rules import CatalogFile, Change, FeatureSpec, PlanSpec, shown
from quntedge.catalog.versions import GatewayStep, PriceRef, Terms

_EXAMPLE = '[[plans]]\ncode = "monthly"\nname = "Monthly"\nkind = "recurring"\nprice = "29.00"\nperiod_days = 30\n'

CatalogText = Annotated[
    str,
    Field(
        min_length=1,
        max_length=500_000,
        description="A catalogue in TOML, as `quntedge catalog apply` reads it: whole.",
    ),
]


class CatalogIn(In):
    """A catalogue to compare with."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"catalog": _EXAMPLE}]})

    catalog: CatalogText


class CatalogApplyIn(CatalogIn):
    """A catalogue to put into force."""

    sync: bool = Field(default=True, description="Whether Whop is brought up to date as well.")


class TermsOut(Out):
    """A version of a plan's terms in one currency. `on_sale` is false for earlier versions, which subscribers keep."""

    version: int = Field(examples=[1])
    price: MoneyOut
    period_days: int | None
    trial_days: int
    on_sale: bool
    whop_plan_id: str | None
    archived_at_whop: bool

    @classmethod
    def of(cls, terms: Terms, plan: PlanSpec) -> "TermsOut":
        """One version in one currency."""
        return cls(
            version=terms.version,
            price=MoneyOut.of(terms.price),
            period_days=terms.period_days,
            trial_days=terms.trial_days,
            on_sale=plan.for_sale and not terms.retired,
            whop_plan_id=terms.whop_plan_id,
            archived_at_whop=terms.gateway_archived,
        )


class PlanTermsOut(Out):
    """A plan with all its versions. `subscribers` counts the live ones by version; `rules` are as in the file."""

    code: str
    name: str
    tagline: str
    kind: str
    archived: bool
    highlighted: bool
    grace_days: int
    rules: dict[str, Any]
    features: dict[str, FeatureValue]
    terms: list[TermsOut]
    subscribers: dict[int, int]

    @classmethod
    def of(cls, plan: PlanSpec, subscribers: Subscribers) -> "PlanTermsOut":
        """A plan of the catalogue."""
        rules = plan.rules.to_json()
        return cls(
            code=plan.code,
            name=plan.name,
            tagline=plan.tagline,
            kind=plan.kind,
            archived=plan.archived,
            highlighted=plan.highlighted,
            grace_days=plan.grace_days,
            rules=rules | {"pause": {"access": plan.rules.pause.access, **rules["pause"]}},
            features=dict(plan.features),
            terms=[TermsOut.of(terms, plan) for terms in plan.history],
            subscribers={version: count for (code, version), count in subscribers.items() if code == plan.code},
        )


class FeatureSpecOut(Out):
    """A feature of the catalogue."""

    code: str
    name: str
    description: str
    kind: str
    unit: str

    @classmethod
    def of(cls, feature: FeatureSpec) -> "FeatureSpecOut":
        """A feature of the catalogue."""
        return cls(
            code=feature.code,
            name=feature.name,
            description=feature.description,
            kind=feature.kind,
            unit=feature.unit,
        )


class CatalogOut(Out):
    """The whole catalogue, archived plans and earlier versions included."""

    features: list[FeatureSpecOut]
    plans: list[PlanTermsOut]

    @classmethod
    def of(cls, catalog: CatalogFile, subscribers: Subscribers) -> "CatalogOut":
        """The catalogue as it is."""
        return cls(
            features=[FeatureSpecOut.of(feature) for feature in catalog.features.values()],
            plans=[PlanTermsOut.of(plan, subscribers) for plan in catalog.plans.values()],
        )


class FieldChangeOut(Out):
    """A part of a plan or feature before and after, as text; "none" where one side has nothing."""

    name: str = Field(examples=["price.usd"])
    before: str = Field(examples=["29.00 USD"])
    after: str = Field(examples=["35.00 USD"])


class ChangeOut(Out):
    """One difference. `new_version` is the number of the version of the plan's terms that begins with it."""

    action: str = Field(examples=["update"], description="add, update, archive, restore or remove.")
    kind: str = Field(examples=["plan"])
    code: str = Field(examples=["monthly"])
    fields: list[FieldChangeOut]
    new_version: int | None

    @classmethod
    def of(cls, change: Change) -> "ChangeOut":
        """One difference."""
        return cls(
            action=change.action,
            kind=change.kind,
            code=change.code,
            fields=[
                FieldChangeOut(name=name, before=shown(old), after=shown(new))
                for name, (old, new) in change.fields.items()
            ],
            new_version=change.new_version,
        )


class PriceRefOut(Out):
    """One plan at Whop, by what it is to us."""

    plan: str = Field(examples=["monthly"])
    version: int = Field(examples=[2])
    currency: str = Field(examples=["usd"])

    @classmethod
    def of(cls, ref: PriceRef) -> "PriceRefOut":
        """One plan at Whop."""
        return cls(plan=ref.plan_code, version=ref.version, currency=ref.currency)


class GatewayStepOut(PriceRefOut):
    """Something to do at Whop."""

    action: str = Field(examples=["create"], description="create or archive.")
    price: MoneyOut

    @classmethod
    def step(cls, step: GatewayStep) -> "GatewayStepOut":
        """Something to do."""
        return cls(
            plan=step.ref.plan_code,
            version=step.ref.version,
            currency=step.ref.currency,
            action=step.action,
            price=MoneyOut.of(step.price),
        )


class CatalogDiffOut(Out):
    """What a catalogue would change: here, at Whop, and for those who have subscribed. Empty lists: nothing."""

    changes: list[ChangeOut]
    gateway: list[GatewayStepOut]
    notes: list[str] = Field(examples=[["monthly: 412 subscribers keep version 1 and its price"]])
    warnings: list[str] = Field(examples=[["monthly: 412 subscribers would lose advanced_analytics"]])

    @classmethod
    def of(cls, diff: CatalogDiff, promotions: Sequence[Change] = ()) -> "CatalogDiffOut":
        """A comparison, with that of the promotions in the same file."""
        return cls(
            changes=[ChangeOut.of(change) for change in (*diff.changes, *promotions)],
            gateway=[GatewayStepOut.step(step) for step in diff.gateway],
            notes=list(diff.notes),
            warnings=list(diff.warnings),
        )


class SyncOut(Out):
    """What was done at Whop. Nobody can buy what is `missing`: it is linked to a plan that Whop does not sell."""

    created: list[PriceRefOut]
    adopted: list[PriceRefOut]
    archived: list[PriceRefOut]
    missing: list[PriceRefOut]

    @classmethod
    def of(cls, report: SyncReport) -> "SyncOut":
        """A report."""
        return cls(
            created=[PriceRefOut.of(ref) for ref in report.created],
            adopted=[PriceRefOut.of(ref) for ref in report.adopted],
            archived=[PriceRefOut.of(ref) for ref in report.archived],
            missing=[PriceRefOut.of(ref) for ref in report.missing],
        )


class CatalogAppliedOut(Out):
    """What was changed. `sync` and `promo_codes` are null when Whop was not to be touched."""

    changes: list[ChangeOut]
    sync: SyncOut | None
    promo_codes: PromoSyncOut | None
