"""Promotions in the catalogue's file."""

import pytest

from quntedge.catalog import toml
from quntedge.catalog.rules import CatalogFile, InvalidCatalog
from quntedge.kit.money import Money
from quntedge.promotions import file, queries
from quntedge.promotions.file import Listed
from tests.promotions.conftest import Counter, spec, usd

HEAD = """
[[plans]]
code = "monthly"
name = "Monthly"
kind = "recurring"
price = "29.00"
period_days = 30
"""
WHOLE = """
[[promotions]]
code = "launch"
name = "Launch"
percent = "12.5"
periods = 3
plans = ["monthly"]
first_purchase_only = true
max_uses = 500
max_per_customer = 1
starts_at = 2026-09-01T00:00:00Z
ends_at = 2026-10-01T00:00:00+02:00
codes = ["launch20", "LAUNCH20", "hello"]

[[promotions]]
code = "friends"
name = "Friends"
amounts = { usd = "5.00", eur = "4.50" }
periods = "forever"
"""


def read(text: str) -> tuple[Listed, ...]:
    return file.load(HEAD + text, _catalog())


def _catalog() -> CatalogFile:
    return toml.load(HEAD)


def test_every_field_is_read() -> None:
    assert toml.load(HEAD + WHOLE).plans.keys() == {"monthly"}
    launch, friends = read(WHOLE)
    assert launch.codes == ("LAUNCH20", "HELLO")
    assert (launch.spec.percent_bp, launch.spec.periods, launch.spec.plans) == (1250, 3, ("monthly",))
    assert (launch.spec.max_uses, launch.spec.max_per_customer, launch.spec.first_purchase_only) == (500, 1, True)
    assert launch.spec.ends_at is not None
    assert launch.spec.ends_at.isoformat() == "2026-09-30T22:00:00+00:00"
    assert friends.spec.amounts == {"usd": usd(500), "eur": Money(450, "eur")}
    assert friends.spec.periods is None
    assert file.packaged(toml.packaged()) == ()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('percent = "0"', "percent"),
        ('percent = "100.5"', "percent"),
        ("percent = 12.5", "percent"),
        ('percent = "１０"', "percent"),
        ('percent = "20"\namounts = { usd = "5.00" }', "not both"),
        ('amounts = { usd = "-1" }', "more than zero"),
        ('amounts = { usd = "10.001" }', "finer"),
        ('amounts = { usd = "1e2" }', "not an amount"),
        ('amounts = { usd = "NaN" }', "not an amount"),
        ('amounts = { xyz = "5.00" }', "unknown currency"),
        ("amounts = { usd = 5 }", "major units"),
        ('percent = "20"\nperiods = "always"', "periods"),
        ('percent = "20"\nplans = ["gold"]', "gold"),
        ('percent = "20"\nends_at = "soon"', "date and time"),
        ('percent = "20"\nmax_uses = 0', "max_uses"),
        ('percent = "20"\ncodes = ["?"]', "3 to 40"),
        ('percent = "20"\nstock = 5', "stock"),
        ("", "percentage or amounts"),
    ],
)
def test_a_mistake_is_named_with_its_place(line: str, words: str) -> None:
    with pytest.raises(InvalidCatalog, match=words) as raised:
        read(f'[[promotions]]\ncode = "launch"\nname = "Launch"\n{line}\n')
    assert "promotions[1] (launch)" in raised.value.detail


def test_a_name_and_a_code_belong_to_one_promotion() -> None:
    one = '[[promotions]]\ncode = "launch"\nname = "Launch"\npercent = "20"\ncodes = ["HELLO"]\n'
    with pytest.raises(InvalidCatalog, match="given twice"):
        read(one + one)
    with pytest.raises(InvalidCatalog, match="HELLO is given to launch and other"):
        read(one + one.replace("launch", "other"))


async def test_the_file_is_the_truth_about_what_came_from_it(counter: Counter) -> None:
    await counter.save(spec(code="by_hand"), codes=("BYHAND",))
    first = read(WHOLE)
    assert await _apply(counter, first) == ["add promotion launch", "add promotion friends"]
    assert await _apply(counter, first) == []

    changed = read(WHOLE.replace('"12.5"', '"20"').replace('"hello"', '"hello", "again"'))
    (line,) = await _apply(counter, changed)
    assert line == "update promotion launch: percent_bp 1250 → 2000, codes none → [AGAIN]"
    assert await _apply(counter, changed) == []

    gone = await _apply(counter, ())
    assert sorted(gone) == ["archive promotion friends", "archive promotion launch"]
    async with counter.units() as unit:
        assert [view.spec.code for view in await queries.promotions(unit.session)] == ["by_hand"]
    assert (await _apply(counter, changed))[0].startswith("restore promotion launch")
    assert await _apply(counter, changed) == []


async def _apply(counter: Counter, listed: tuple[Listed, ...]) -> list[str]:
    """What a comparison says, then what applying does: the same."""
    async with counter.units() as unit:
        said = await file.diff(unit, listed)
    async with counter.units() as unit:
        done = await file.apply(unit, listed, counter.promotions.service, by="catalog")
        await unit.commit()
    assert said == done
    return [change.describe().partition(":")[0] if change.action == "add" else change.describe() for change in done]
