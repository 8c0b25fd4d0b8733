"""Asks every served operation with a wrong key and for things that do not exist, through the SDK's own methods."""

from typing import Any

import httpx
from whop_sdk import AsyncWhop, WhopEnvironment
from whop_sdk.core.api_error import ApiError

from quntedge.gateway.emulator.testing import RunningEmulator
from tests.emulator.conftest import NO_CERTIFICATES
from tests.emulator.contract.recording import Exchange, Record
from tests.emulator.contract.surface import Operation


def _method(sdk: AsyncWhop, operation: Operation) -> Any:
    client: Any = sdk
    for name in operation.module.split("."):
        client = getattr(client, name)
    return getattr(client, operation.name)


def _arguments(base: Exchange) -> dict[str, Any]:
    """What the operation was asked with when it went well, as arguments of the SDK's method."""
    if base.operation.key == "invoices.create":
        return {"request": base.asked}
    if base.operation.http_method in ("POST", "PATCH"):
        return base.asked
    needed = [name for name, parameter in base.operation.of_place("query").items() if parameter.required]
    return {name: base.query[name] for name in needed}


async def _error_of(sdk: AsyncWhop, base: Exchange, ids: list[str]) -> ApiError:
    try:
        await _method(sdk, base.operation)(*ids, **_arguments(base))
    except ApiError as error:
        return error
    raise AssertionError(f"{base.operation.key} was accepted")


def _findings(base: Exchange, error: ApiError, status: int) -> list[str]:
    """A wrong status, or a class other than the SDK's own where it has one."""
    if error.status_code != status:
        return [f"{base.operation.key}: {error.status_code} instead of {status}: {error.body}"]
    typed = type(error) is not ApiError
    if typed is not (status in base.operation.errors):
        return [f"{base.operation.key}: {status} is a {type(error).__name__}"]
    return []


async def refusal_findings(emu: RunningEmulator, bases: dict[str, Exchange], record: Record) -> list[str]:
    """What is wrong with the answers to strangers and about strangers. The answers are added to the record."""
    found: list[str] = []
    hooks = {"response": [record.note]}
    environment = WhopEnvironment(api=emu.api_base_url, vault=emu.api_base_url)
    async with httpx.AsyncClient(verify=NO_CERTIFICATES, trust_env=False, event_hooks=hooks) as http:
        ours = AsyncWhop(token=emu.config.api_key, environment=environment, httpx_client=http, max_retries=0)
        stranger = AsyncWhop(token="not a key", environment=environment, httpx_client=http, max_retries=0)
        for base in bases.values():
            unknown = ["none_0000000000"] * len(base.operation.of_place("path"))
            found += _findings(base, await _error_of(stranger, base, unknown), 401)
            if unknown:
                found += _findings(base, await _error_of(ours, base, unknown), 404)
    return found
