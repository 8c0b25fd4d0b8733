"""The JSON shapes of setup intents, native and legacy."""

from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.shapes.payments import PaymentShapes, instrument, redirect_action
from quntedge.gateway.emulator.state.money_records import SetupIntent
from quntedge.gateway.emulator.state.records import Method
from quntedge.gateway.emulator.state.store import Store
from quntedge.gateway.emulator.wire.values import JsonObject, iso


class SetupShapes:
    """Renders setup intents as API versions from 2026-09-22-1 on show them, and as older endpoints get them."""

    def __init__(self, config: EmulatorConfig, store: Store) -> None:
        self._config = config
        self._store = store
        self._payments = PaymentShapes(config, store)

    def _method(self, intent: SetupIntent) -> Method | None:
        return self._store.tables.methods.get(intent.payment_method_id or "")

    def _error(self, intent: SetupIntent) -> JsonObject | None:
        return None if intent.error_code is None else {"code": intent.error_code, "message": intent.error_message}

    def setup_intent(self, intent: SetupIntent) -> JsonObject:
        """A setup intent. The stored card shows once it is saved."""
        method = self._method(intent)
        return {
            "id": intent.id,
            "account_id": self._config.account_id,
            "checkout_configuration_id": intent.checkout_id,
            "client_secret": f"{intent.id}_secret_emulated",
            "created_at": iso(intent.created_at),
            "last_setup_error": self._error(intent),
            "member_id": intent.member_id,
            "metadata": intent.metadata,
            "payment_instrument": None if method is None else instrument(method),
            "payment_method_id": intent.payment_method_id if intent.status == "succeeded" else None,
            "payment_method_type": None if method is None else "card",
            "return_url": intent.return_url,
            "status": intent.status,
            "three_ds_level": intent.three_ds_level,
            "three_ds_verified": intent.three_ds_verified,
            "updated_at": iso(intent.updated_at),
            "user": self._payments.user(self._store.tables.people[intent.user_id]),
        }

    def status(self, intent: SetupIntent) -> JsonObject:
        """The short answer of GET /setup_intents/{id}/status."""
        waits = intent.status == "requires_action"
        url = f"{self._config.public_base_url}/setup-challenge/{intent.id}"
        return {
            "id": intent.id,
            "object": "setup_status",
            "status": intent.status,
            "last_setup_error": self._error(intent),
            "next_action": redirect_action(url) if waits else None,
            "return_url": intent.return_url,
        }

    def legacy(self, intent: SetupIntent) -> JsonObject:
        """SetupIntentLegacy: nested objects."""
        method, person = self._method(intent), self._store.tables.people[intent.user_id]
        user = {"id": person.id, "username": person.username, "name": person.name, "email": person.email}
        return {
            "id": intent.id,
            "checkout_configuration": None if intent.checkout_id is None else {"id": intent.checkout_id},
            "company": {"id": self._config.account_id},
            "created_at": iso(intent.created_at),
            "error_message": intent.error_message,
            "member": {"id": intent.member_id, "user": user},
            "metadata": intent.metadata,
            "payment_method": None if method is None or intent.status != "succeeded" else _legacy_method(method),
            "status": intent.status,
            "three_ds_verified": intent.three_ds_verified,
        }


def _legacy_method(method: Method) -> JsonObject:
    return {
        "id": method.id,
        "created_at": iso(method.created_at),
        "payment_method_type": "card",
        "mailing_address": None,
        "card": {
            "brand": method.brand,
            "last4": method.last4,
            "exp_month": method.exp_month,
            "exp_year": method.exp_year % 100,
        },
    }
