import pytest

from quntedge.accounts.api_keys import ApiKeyService
from quntedge.accounts.errors import ApiKeyNotFound, InvalidApiKey, InvalidApiKeyRequest, MissingScope
from quntedge.audit.acting import acting
from quntedge.audit.rules import Actor, ActorKind
from quntedge.storage.unit_of_work import UnitOfWorkFactory

keys = ApiKeyService()


async def made(units: UnitOfWorkFactory, *scopes: str) -> tuple[str, str]:
    async with units() as unit:
        key, token = await keys.create(unit, "Host  app ", scopes or ("access:read",))
        await unit.commit()
    return key.id, token


async def test_a_key_authenticates_for_its_scopes_only(units: UnitOfWorkFactory) -> None:
    key_id, token = await made(units)
    assert token.startswith("qk_")
    async with units() as unit:
        caller = await keys.authenticate(unit, token, "access:read")
        assert (caller.key_id, caller.scopes) == (key_id, frozenset({"access:read"}))
        with pytest.raises(MissingScope, match="subscription:read"):
            await keys.authenticate(unit, token, "subscription:read")


async def test_only_the_digest_is_kept(units: UnitOfWorkFactory) -> None:
    _, token = await made(units)
    async with units() as unit:
        (key,) = await keys.list(unit)
    assert token not in str(vars(key))
    assert key.hint.startswith("qk_")
    assert len(key.hint) < 12
    assert key.name == "Host app"


async def test_revoking_takes_effect_and_may_be_repeated(units: UnitOfWorkFactory) -> None:
    key_id, token = await made(units)
    _, other = await made(units)
    for _ in range(2):
        async with units() as unit:
            assert (await keys.revoke(unit, key_id)).revoked_at == unit.clock.now()
            await unit.commit()
    async with units() as unit:
        with pytest.raises(InvalidApiKey):
            await keys.authenticate(unit, token, "access:read")
        await keys.authenticate(unit, other, "access:read")
        assert [key.revoked_at is None for key in await keys.list(unit)] == [True, False]


@pytest.mark.parametrize(
    "token", ["", "qk_", "qk_" + "x" * 43, "sk_" + "x" * 43, "qk_" + "é" * 43, "qk_" + "\ud800" * 43]
)
async def test_a_made_up_key_is_refused(units: UnitOfWorkFactory, token: str) -> None:
    async with units() as unit:
        with pytest.raises(InvalidApiKey):
            await keys.authenticate(unit, token, "access:read")


@pytest.mark.parametrize(
    ("name", "scopes", "field"),
    [
        ("x", ["access:write"], "scopes"),
        ("x", [], "scopes"),
        ("", ["access:read"], "name"),
        ("a\x00", ["access:read"], "name"),
    ],
)
async def test_a_bad_request_names_what_is_known(
    units: UnitOfWorkFactory, name: str, scopes: list[str], field: str
) -> None:
    async with units() as unit:
        with pytest.raises(InvalidApiKeyRequest) as caught:
            await keys.create(unit, name, scopes)
    assert caught.value.errors[0]["field"] == field
    if field == "scopes":
        assert "access:read, subscription:read" in caught.value.detail


@pytest.mark.parametrize("key_id", ["key_00000000000000000000000000", "nonsense", "\x00"])
async def test_revoking_an_unknown_key(units: UnitOfWorkFactory, key_id: str) -> None:
    async with units() as unit:
        with pytest.raises(ApiKeyNotFound):
            await keys.revoke(unit, key_id)


async def test_two_keys_of_one_holder_are_one_person(units: UnitOfWorkFactory) -> None:
    async with units() as unit:
        callers = []
        for holder in ("Kim", " kim ", "ｋｉｍ", "lou", None):
            key, token = await keys.create(unit, "tool", ["refunds:approve"], holder=holder)
            callers.append((await keys.authenticate(unit, token, "refunds:approve")).person)
    assert callers == ["staff:kim", "staff:kim", "staff:kim", "staff:lou", f"service:{key.id}"]


@pytest.mark.parametrize("holder", ["", "Kim Example", "kim@example.com", "-kim", "k" * 61, "kïm"])
async def test_a_holder_is_a_short_name(units: UnitOfWorkFactory, holder: str) -> None:
    async with units() as unit:
        with pytest.raises(InvalidApiKeyRequest) as caught:
            await keys.create(unit, "tool", ["refunds:approve"], holder=holder)
    assert [error["field"] for error in caught.value.errors] == ["holder"]


async def test_whoever_was_recognised_acts(units: UnitOfWorkFactory) -> None:
    async with units() as unit:
        key, token = await keys.create(unit, "tool", ["refunds:approve"], holder="kim")
        with pytest.raises(MissingScope):
            await keys.authenticate(unit, token, "refunds:request")
    assert acting() == Actor(ActorKind.API_KEY, key.id, "staff:kim")
