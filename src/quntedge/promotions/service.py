"""PromotionService: making and changing promotions and their codes. Works in the caller's unit and never commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update

from quntedge.audit.writing import audit_done
from quntedge.catalog.models import Plan
from quntedge.kit.errors import FieldError
from quntedge.kit.ids import new_id
from quntedge.promotions import errors
from quntedge.promotions.models import Promotion, PromotionAmount, PromotionCode, PromotionPlan
from quntedge.promotions.queries import PromotionView, promotions
from quntedge.promotions.rules import (
    MOST_CODES_AT_ONCE,
    MOST_USES,
    PromotionSpec,
    check_spec,
    normal_code,
    random_code,
)
from quntedge.storage.rows import insert_rows
from quntedge.storage.unit_of_work import UnitOfWork

PREFIX, CODE_PREFIX, BATCH_PREFIX = "prm", "pco", "bat"


@dataclass(frozen=True, slots=True)
class Batch:
    """Codes that were made together."""

    id: str
    codes: tuple[str, ...]


class PromotionService:
    """Staff's side of promotions. `by` is whoever acts: `service:key_…`, `cli:name` or `catalog`."""

    async def save(
        self, unit: UnitOfWork, spec: PromotionSpec, *, by: str, origin: str = "staff", codes: Sequence[str] = ()
    ) -> PromotionView:
        """Makes a promotion, or makes the one of this name what is wanted; adds the codes that it lacks.

        What somebody holds or has used keeps the terms it was given with. An archived promotion comes back. Raises
        `InvalidPromotion`, `PromotionCodeMalformed` and `PromotionCodeTaken`.
        """
        check_spec(spec)
        plans = await _plan_ids(unit, spec)
        row: Promotion | None = await unit.session.scalar(
            select(Promotion).where(Promotion.code == spec.code).with_for_update()
        )
        now = unit.clock.now()
        if row is None:
            row = Promotion(id=new_id(PREFIX, now), code=spec.code, uses=0, origin=origin, created_by=by, version=1)
            row.created_at = row.updated_at = now
            _write(row, spec)
            unit.session.add(row)
            await unit.session.flush()
            await self._write_parts(unit, row.id, spec, plans)
        else:
            await self._change(unit, row, spec, plans, now)
        held = set(await unit.session.scalars(select(PromotionCode.code).where(PromotionCode.promotion_id == row.id)))
        wanted = list(dict.fromkeys(normal_code(code) for code in codes))
        missing = [code for code in wanted if code not in held]
        await self._add(unit, row.id, missing, None, None, by)
        audit_done(unit, "promotion.save", "promotion", spec.code, version=row.version, codes_added=len(missing))
        return await self.get(unit, spec.code)

    async def get(self, unit: UnitOfWork, code: str) -> PromotionView:
        """The promotion of this name. Raises `PromotionNotFound`."""
        await unit.session.flush()
        found = await promotions(unit.session, code=code)
        if not found:
            raise errors.PromotionNotFound("There is no promotion of this name; list them to see which there are.")
        return found[0]

    async def add_codes(
        self,
        unit: UnitOfWork,
        code: str,
        *,
        by: str,
        named: Sequence[str] = (),
        count: int = 0,
        prefix: str = "",
        max_uses: int | None = None,
        batch_id: str | None = None,
    ) -> Batch:
        """Adds codes to a promotion: those that are named, or `count` random ones behind a prefix.

        `max_uses` limits each of them. Raises `PromotionNotFound`, `PromotionArchived`, `PromotionCodeMalformed`,
        `PromotionCodeTaken` and `InvalidPromotion`.
        """
        row: Promotion | None = await unit.session.scalar(
            select(Promotion).where(Promotion.code == code).with_for_update()
        )
        if row is None:
            raise errors.PromotionNotFound("There is no promotion of this name; list them to see which there are.")
        if row.archived_at is not None:
            raise errors.PromotionArchived("An archived promotion gets no new codes. Save it again to bring it back.")
        _check_batch(row, named, count, max_uses)
        start = normal_code(f"{prefix}-XXX").removesuffix("-XXX") if prefix else ""
        made = [normal_code(random_code(start)) for _ in range(count)] + [normal_code(one) for one in named]
        batch = batch_id or new_id(BATCH_PREFIX, unit.clock.now())
        await self._add(unit, row.id, list(dict.fromkeys(made)), batch, max_uses, by)
        audit_done(unit, "promotion.add_codes", "promotion", code, batch=batch, codes_added=len(made))
        return Batch(batch, tuple(made))

    async def codes_of_batch(self, unit: UnitOfWork, batch_id: str) -> Batch | None:
        """The codes that were made under this id; None where none were."""
        made = await unit.session.scalars(
            select(PromotionCode.code).where(PromotionCode.batch == batch_id).order_by(PromotionCode.id)
        )
        codes = tuple(made)
        return Batch(batch_id, codes) if codes else None

    async def archive(self, unit: UnitOfWork, code: str) -> PromotionView:
        """Ends a promotion: nobody new gets it. Who holds it may still pay, and who has it keeps it.

        Doing it twice changes nothing. Raises `PromotionNotFound`.
        """
        now = unit.clock.now()
        ended = await unit.session.scalar(
            update(Promotion)
            .where(Promotion.code == code, Promotion.archived_at.is_(None))
            .values(archived_at=now, updated_at=now)
            .returning(Promotion.id)
            .execution_options(synchronize_session=False)
        )
        if ended is not None:
            audit_done(unit, "promotion.archive", "promotion", code)
        return await self.get(unit, code)

    async def archive_code(self, unit: UnitOfWork, code: str) -> None:
        """Ends one code. Raises `PromotionCodeUnknown`."""
        found = await unit.session.scalar(
            update(PromotionCode)
            .where(PromotionCode.code == normal_code(code))
            .values(archived_at=unit.clock.now())
            .returning(PromotionCode.id)
            .execution_options(synchronize_session=False)
        )
        if found is None:
            raise errors.PromotionCodeUnknown("No promotion has this code.")
        audit_done(unit, "promotion.archive_code", "promotion_code", found)

    async def _change(
        self, unit: UnitOfWork, row: Promotion, spec: PromotionSpec, plans: Sequence[str], now: datetime
    ) -> None:
        held = await self.get(unit, spec.code)
        if held.spec == spec and held.archived_at is None:
            return
        if spec.max_uses is not None and spec.max_uses < row.uses:
            raise _invalid("max_uses", f"{row.uses:,} uses are taken already; the limit cannot be lower.")
        if _terms(held.spec) != _terms(spec):
            row.version += 1
        _write(row, spec)
        row.updated_at, row.archived_at = now, None
        await unit.session.flush()
        for table in (PromotionAmount, PromotionPlan):
            await unit.session.execute(
                delete(table).where(table.promotion_id == row.id).execution_options(synchronize_session="fetch")
            )
        await self._write_parts(unit, row.id, spec, plans)

    @staticmethod
    async def _write_parts(unit: UnitOfWork, promotion_id: str, spec: PromotionSpec, plans: Sequence[str]) -> None:
        connection = await unit.driver_connection()
        amounts = [
            {"promotion_id": promotion_id, "currency": currency, "amount_minor": amount.amount_minor}
            for currency, amount in spec.amounts.items()
        ]
        await insert_rows(connection, PromotionAmount.__table__, amounts)
        named = [{"promotion_id": promotion_id, "plan_id": plan_id} for plan_id in plans]
        await insert_rows(connection, PromotionPlan.__table__, named)

    @staticmethod
    async def _add(
        unit: UnitOfWork, promotion_id: str, codes: Sequence[str], batch: str | None, max_uses: int | None, by: str
    ) -> None:
        if not codes:
            return
        now = unit.clock.now()
        rows: list[dict[str, Any]] = [
            {
                "id": new_id(CODE_PREFIX, now),
                "promotion_id": promotion_id,
                "code": code,
                "max_uses": max_uses,
                "uses": 0,
                "batch": batch,
                "created_by": by,
                "created_at": now,
            }
            for code in codes
        ]
        await insert_rows(await unit.driver_connection(), PromotionCode.__table__, rows, conflict_key="code")
        taken = set(
            await unit.session.scalars(
                select(PromotionCode.code).where(
                    PromotionCode.code.in_(codes), PromotionCode.id.not_in([row["id"] for row in rows])
                )
            )
        )
        if taken:
            raise errors.PromotionCodeTaken(f"These codes exist already: {', '.join(sorted(taken)[:10])}.")


def _check_batch(row: Promotion, named: Sequence[str], count: int, max_uses: int | None) -> None:
    if bool(named) == bool(count):
        raise _invalid("count", "Either name the codes or say how many to make.")
    if not 0 <= count <= MOST_CODES_AT_ONCE or len(named) > MOST_CODES_AT_ONCE:
        raise _invalid("count", f"At most {MOST_CODES_AT_ONCE:,} codes are made at once.")
    if max_uses is not None and not 1 <= max_uses <= MOST_USES:
        raise _invalid("max_uses", f"A limit is 1 to {MOST_USES:,}; leave it out for none.")
    if row.at_whop and (count or max_uses is not None):
        raise _invalid("count", "A promotion that stands at Whop has only named codes without limits.")


def _invalid(field: str, message: str) -> errors.InvalidPromotion:
    problem: FieldError = {"field": field, "message": message}
    return errors.InvalidPromotion(message, errors=[problem])


def _write(row: Promotion, spec: PromotionSpec) -> None:
    row.name = spec.name
    row.kind = "percentage" if spec.percent_bp is not None else "amount"
    row.percent_bp = spec.percent_bp
    row.periods = spec.periods
    row.every_plan = spec.plans is None
    row.first_purchase_only = spec.first_purchase_only
    row.max_uses = spec.max_uses
    row.max_per_customer = spec.max_per_customer
    row.starts_at = spec.starts_at
    row.ends_at = spec.ends_at
    row.at_whop = spec.at_whop


def _terms(spec: PromotionSpec) -> tuple[object, ...]:
    """What a customer is promised; the rest is for whom and until when."""
    return spec.percent_bp, dict(spec.amounts), spec.periods


async def _plan_ids(unit: UnitOfWork, spec: PromotionSpec) -> list[str]:
    if spec.plans is None:
        return []
    rows = await unit.session.execute(select(Plan.code, Plan.id).where(Plan.code.in_(spec.plans), Plan.kind != "free"))
    found = {row.code: row.id for row in rows}
    unknown = [code for code in spec.plans if code not in found]
    if unknown:
        raise _invalid("plans", f"There is no plan to buy with the code {unknown[0]!r}.")
    return [found[code] for code in dict.fromkeys(spec.plans)]
