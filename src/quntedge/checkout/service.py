"""Opening a checkout at the gateway exactly once, whatever is clicked, repeated or cut off."""

import math
from dataclasses import dataclass

from sqlalchemy import select

from quntedge.accounts.models import AppUser
from quntedge.catalog import queries as catalog
from quntedge.catalog.queries import PlanView, PriceView
from quntedge.checkout import rules
from quntedge.checkout.discounts import CheckoutGateway, Discounts, Opened, Opening, open_at, preview_of, same_code
from quntedge.checkout.idempotency import Fresh, IdempotencyService, Replay, digest_of
from quntedge.checkout.models import CheckoutIntent
from quntedge.checkout.outcomes import RetireLater
from quntedge.checkout.queries import PREFIX, CheckoutView, checkout, typed_of, view_of
from quntedge.gateway.acts import PromoRequest
from quntedge.gateway.errors import (
    GatewayError,
    GatewayInvalidAnswer,
    GatewayOutcomeUnknown,
    GatewayRateLimited,
    GatewayUnavailable,
)
from quntedge.gateway.port import CheckoutRequest
from quntedge.kit.errors import QuntedgeError
from quntedge.kit.ids import new_id
from quntedge.pricing.preview import Preview
from quntedge.promotions.errors import PromotionCodeUnknown
from quntedge.promotions.reserving import PromotionDesk
from quntedge.promotions.rules import HOLD, normal_code
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.subscriptions.models import LIVE, Subscription

OPERATION = "checkout.start"
CREATED = 201
_RETRY_SECONDS = 5

# After these the checkout may exist, or will once the gateway is back: the intent stays, and a repetition resumes it.
_UNDECIDED_ERRORS = (GatewayOutcomeUnknown, GatewayInvalidAnswer, GatewayUnavailable, GatewayRateLimited)


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to buy: a plan's code, a currency, a promotion code in its normal form."""

    plan: str
    currency: str | None = None
    promotion: str | None = None

    def to_json(self) -> dict[str, str]:
        """The wish as members; what was left out is left out."""
        members = {"plan": self.plan, "currency": self.currency, "promotion": self.promotion}
        return {name: value for name, value in members.items() if value}


class CheckoutService:
    """Starts and shows checkouts. `start` opens and commits its own units of work, because it calls the gateway."""

    def __init__(
        self,
        units: UnitOfWorkFactory,
        gateway: CheckoutGateway,
        base_url: str,
        *,
        retire_later: RetireLater,
        idempotency: IdempotencyService | None = None,
        promotions: PromotionDesk | None = None,
    ) -> None:
        """Without `promotions` no promotion codes are taken."""
        self.discounts = None if promotions is None else Discounts(promotions)
        self._units = units
        self._gateway = gateway
        self._base_url = base_url.rstrip("/")
        self._retire_later = retire_later
        self._idempotency = idempotency or IdempotencyService()

    async def start(
        self,
        user_id: str,
        plan_code: str,
        idempotency_key: str | None,
        currency: str | None = None,
        promotion_code: str | None = None,
    ) -> CheckoutView:
        """Opens a checkout for a plan: intent row, commit; gateway; settle, commit.

        `currency` is a lower-case code; without it the plan's own is used. With a `promotion_code` one use of it is
        held for two hours, and the view has a code of its own for the payment page.

        The same key gives the same checkout, also after a crash or an unknown outcome: the intent's id is the gateway's
        idempotency key. A second click with another key within a minute gets the checkout that is open already.

        Raises the errors of the key (`IdempotencyKey…`), of the purchase (`PlanNotFound`, `PlanIsFree`,
        `CurrencyNotOffered`, `PlanUnavailable`, `AlreadySubscribed`, `CheckoutInProgress`, `CheckoutExpired`),
        those of promotion codes (`promotions.errors`), `CheckoutUnavailable` when the gateway did not answer clearly
        (repeat with the same key), and `GatewayError` when it refused.
        """
        wish = Wish(plan_code, currency, normal_code(promotion_code) if promotion_code else None)
        begun = await self._idempotency.begin(
            self._units,
            user_id,
            idempotency_key,
            OPERATION,
            digest_of(wish.to_json()),
            new_id(PREFIX, self._units.clock.now()),
        )
        if isinstance(begun, Replay):
            return CheckoutView.from_json(begun.answer)
        key = str(idempotency_key)
        try:
            prepared = await self._prepare(user_id, wish, key, begun)
        except QuntedgeError:
            await self._give_back(user_id, key, begun)
            raise
        if isinstance(prepared, CheckoutView):
            return prepared
        opened = await self._call(user_id, key, begun.resource_id, prepared)
        return await self._settle(user_id, key, begun.resource_id, opened)

    async def get(self, unit: UnitOfWork, user_id: str, checkout_id: str) -> CheckoutView:
        """This customer's checkout. Raises `CheckoutNotFound`, for a foreign one as well."""
        found = await checkout(unit.session, user_id, checkout_id, unit.clock.now())
        if found is None:
            raise rules.CheckoutNotFound("You have no checkout with this id. Start a new one from the pricing page.")
        return found

    async def preview(self, unit: UnitOfWork, user_id: str, checkout_id: str) -> Preview:
        """What this customer's checkout costs, line by line. Raises `CheckoutNotFound`."""
        await self.get(unit, user_id, checkout_id)
        return await preview_of(unit, await unit.session.get_one(CheckoutIntent, checkout_id))

    async def abandon(self, unit: UnitOfWork, user_id: str, checkout_id: str) -> CheckoutView:
        """Gives up a checkout that is still open: its link is retired, and what it holds is given back.

        One that has ended stays as it is. Should it be paid at this moment, the membership that follows counts. Raises
        `CheckoutNotFound`.
        """
        await self.get(unit, user_id, checkout_id)
        intent = await unit.session.get_one(CheckoutIntent, checkout_id, with_for_update=True, populate_existing=True)
        if intent.state in rules.UNDECIDED:
            intent.state = "expired"
            if intent.whop_checkout_id is not None:
                await self._retire_later(unit, [intent.whop_checkout_id])
            if self.discounts is not None:
                await self.discounts.release(unit, intent)
        await unit.session.flush()
        return await self.get(unit, user_id, checkout_id)

    async def _prepare(self, user_id: str, wish: Wish, key: str, begun: Fresh) -> Opening | CheckoutView:
        """Checks, and writes the intent. A view is the finished answer; terms mean that the gateway is next."""
        async with self._units() as unit:
            # Two requests of one customer take turns here, so that both cannot find "no checkout yet".
            await unit.session.execute(select(AppUser.id).where(AppUser.id == user_id).with_for_update(key_share=True))
            plan = await catalog.plan_by_code(unit.session, wish.plan)
            rules.check_purchase(wish.plan, _offer(plan, wish.currency), await _live_plan(unit, user_id))
            terms = _terms(plan, wish.currency)
            if plan is None or terms is None:
                raise rules.PlanNotFound
            held = await unit.session.get(CheckoutIntent, begun.resource_id) if begun.resumed else None
            if held is None:
                held = await self._clicked_before(unit, user_id, plan, terms, wish.promotion)
            elif held.state in ("created", "unknown") and held.expires_at > unit.clock.now():
                # The gateway may have opened it already: what is asked of it again must be the same, also when the
                # catalogue has moved on to another version since.
                begun_with = await catalog.terms_of(unit.session, held.plan_id, held.plan_version, held.currency)
                return Opening(begun_with or terms, await self._promo_of(unit, held))
            if held is None:
                intent = _new_intent(unit, begun.resource_id, user_id, plan, terms)
                promo = await self._hold(unit, intent, wish.promotion, plan, terms)
                unit.session.add(intent)
                await unit.commit()
                return Opening(terms, promo)
            view = view_of(held, plan.code, plan.name, unit.clock.now(), await typed_of(unit.session, held))
            if view.state in ("expired", "failed"):
                raise _ended()
            await self._idempotency.finish(unit, user_id, key, CREATED, view.to_json())
            await unit.commit()
            return view

    async def _hold(
        self, unit: UnitOfWork, intent: CheckoutIntent, code: str | None, plan: PlanView, terms: PriceView
    ) -> PromoRequest | None:
        if code is None:
            return None
        if self.discounts is None:
            raise PromotionCodeUnknown
        return await self.discounts.hold(unit, intent, code, plan, terms)

    async def _promo_of(self, unit: UnitOfWork, intent: CheckoutIntent) -> PromoRequest | None:
        return None if self.discounts is None else await self.discounts.promo_of(unit, intent)

    async def _clicked_before(
        self, unit: UnitOfWork, user_id: str, plan: PlanView, terms: PriceView, code: str | None
    ) -> CheckoutIntent | None:
        """The checkout of a click a moment ago; with a promotion code the open one, since it holds the use that
        another one would need. Raises `CheckoutInProgress` while that one is still being opened."""
        since = rules.DOUBLE_CLICK if code is None else HOLD
        held = await unit.session.scalar(
            select(CheckoutIntent)
            .where(
                CheckoutIntent.user_id == user_id,
                CheckoutIntent.plan_id == plan.id,
                CheckoutIntent.plan_version == terms.version,
                CheckoutIntent.currency == terms.price.currency,
                CheckoutIntent.state.in_(("created", "open")),
                CheckoutIntent.created_at > unit.clock.now() - since,
                same_code(code),
            )
            .order_by(CheckoutIntent.created_at.desc(), CheckoutIntent.id.desc())
            .limit(1)
        )
        if held is not None and held.state == "created":
            raise rules.CheckoutInProgress(
                "This purchase is being opened by an earlier click. Repeat the request in a few seconds.",
                extra={"checkout_id": held.id},
            )
        return held

    async def _call(self, user_id: str, key: str, intent_id: str, opening: Opening) -> Opened:
        """Calls the gateway with no transaction open. The outcome of a failure is written down before it is raised."""
        request = CheckoutRequest(
            plan_id=str(opening.terms.whop_plan_id),
            redirect_url=f"{self._base_url}/api/whop/return?checkout={intent_id}",
            metadata={"intent_id": intent_id},
        )
        try:
            return await open_at(self._gateway, opening, request, intent_id)
        except _UNDECIDED_ERRORS as error:
            await self._undecided(user_id, key, intent_id)
            raise rules.CheckoutUnavailable(
                "The payment provider did not answer. Nothing was charged. Repeat the request in a moment, with the "
                "same Idempotency-Key.",
                retry_after_seconds=_wait(error),
            ) from error
        except GatewayError as error:
            await self._refused(user_id, key, intent_id, error)
            raise

    async def _settle(self, user_id: str, key: str, intent_id: str, opened: Opened) -> CheckoutView:
        async with self._units() as unit:
            intent = await unit.session.get_one(CheckoutIntent, intent_id, with_for_update=True)
            plan = (await catalog.plans_by_id(unit.session, [intent.plan_id]))[intent.plan_id]
            if intent.state in ("created", "unknown"):
                intent.state = "open"
            # Where the intent has moved on meanwhile (paid, or ended by another purchase), its state stays, and the
            # link that has just been made must not be payable.
            intent.whop_checkout_id = opened.checkout.checkout_id
            intent.purchase_url = opened.checkout.purchase_url
            if self.discounts is not None:
                await self.discounts.settle(unit, intent, opened)
            await unit.session.flush()
            if intent.state != "open":
                await self._retire_later(unit, [opened.checkout.checkout_id])
            view = view_of(intent, plan.code, plan.name, unit.clock.now(), await typed_of(unit.session, intent))
            ended = view.state == "expired"
            if ended:
                await self._idempotency.abandon(unit, user_id, key)
            else:
                await self._idempotency.finish(unit, user_id, key, CREATED, view.to_json())
            await unit.commit()
        if ended:
            raise _ended()
        return view

    async def _undecided(self, user_id: str, key: str, intent_id: str) -> None:
        async with self._units() as unit:
            intent = await unit.session.get_one(CheckoutIntent, intent_id, with_for_update=True)
            if intent.state == "created":
                intent.state = "unknown"
            await unit.session.flush()
            await self._idempotency.release(unit, user_id, key)
            await unit.commit()

    async def _refused(self, user_id: str, key: str, intent_id: str, error: GatewayError) -> None:
        """Ends the intent and forgets the key: at the gateway a refusal is remembered under the old intent's id, so
        another try needs a new intent."""
        async with self._units() as unit:
            intent = await unit.session.get_one(CheckoutIntent, intent_id, with_for_update=True)
            if intent.state in ("created", "unknown"):
                intent.state = "failed"
                intent.failure = error.code
            if self.discounts is not None:
                await self.discounts.release(unit, intent)
            await unit.session.flush()
            await self._idempotency.abandon(unit, user_id, key)
            await unit.commit()

    async def _give_back(self, user_id: str, key: str, begun: Fresh) -> None:
        async with self._units() as unit:
            if begun.resumed:
                await self._idempotency.release(unit, user_id, key)
            else:
                await self._idempotency.abandon(unit, user_id, key)
            await unit.commit()


def _terms(plan: PlanView | None, currency: str | None) -> PriceView | None:
    if plan is None:
        return None
    return plan.price_in(currency) if currency else plan.prices[0]


def _offer(plan: PlanView | None, currency: str | None) -> rules.Offer | None:
    if plan is None:
        return None
    terms = _terms(plan, currency)
    return rules.Offer(
        code=plan.code,
        name=plan.name,
        free=plan.kind == "free",
        archived=plan.archived,
        known_to_gateway=terms is not None and terms.whop_plan_id is not None,
        currencies=tuple(held.price.currency for held in plan.prices),
        currency=currency,
    )


async def _live_plan(unit: UnitOfWork, user_id: str) -> str | None:
    plan_id = await unit.session.scalar(
        select(Subscription.plan_id).where(Subscription.user_id == user_id, Subscription.status.in_(LIVE))
    )
    if plan_id is None:
        return None
    return (await catalog.plans_by_id(unit.session, [plan_id]))[plan_id].name


def _new_intent(unit: UnitOfWork, intent_id: str, user_id: str, plan: PlanView, terms: PriceView) -> CheckoutIntent:
    now = unit.clock.now()
    return CheckoutIntent(
        id=intent_id,
        user_id=user_id,
        plan_id=plan.id,
        plan_version=terms.version,
        state="created",
        price_minor=terms.price.amount_minor,
        currency=terms.price.currency,
        created_at=now,
        expires_at=now + rules.INTENT_LIFETIME,
    )


def _ended() -> rules.CheckoutExpired:
    return rules.CheckoutExpired("This checkout has ended. Start a new one, with a new Idempotency-Key.")


def _wait(error: GatewayError) -> int:
    return math.ceil(error.retry_after_seconds) if isinstance(error, GatewayRateLimited) else _RETRY_SECONDS
