"""No document whatever makes the normaliser raise anything but `UnusableEvent`."""

from contextlib import suppress
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quntedge.gateway.port import UnusableEvent
from quntedge.gateway.whop.normalise import envelope, normalise
from tests.gateway import payloads

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["active", "paid", "open", "usd", "rf_1", "2026-09-29T10:15:30Z", "29.00", "\x00", "\ud800"])
    | st.sampled_from([Decimal("1E+999999"), Decimal("1E-999999"), 10**400, -(10**400)])
)
member_names = st.text(max_size=8) | st.sampled_from(
    ["type", "data", "id", "amount", "currency", "total", "card", "last4", "status", "plan", "account_id"]
)
json_values = st.recursive(
    scalars,
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(
            st.sampled_from(["id", "amount", "currency", "total", "card", "last4", "status", "plan"])
            | st.text(max_size=8),
            children,
            max_size=5,
        )
    ),
    max_leaves=12,
)


def read_by_all(document: object) -> None:
    """Reads it both ways; anything but `UnusableEvent` escapes and fails the test."""
    for read in (normalise, envelope):
        with suppress(UnusableEvent):
            read(document)


@given(json_values)
def test_no_document_raises_anything_but_unusable(document: object) -> None:
    read_by_all(document)


BUILDERS = [
    ("membership.updated", payloads.native_membership()),
    ("membership.activated", payloads.legacy_membership()),
    ("payment.succeeded", payloads.native_payment()),
    ("payment.failed", payloads.failed_legacy_payment()),
    ("refund.updated", payloads.legacy_refund()),
    ("refund.created", payloads.native_refund()),
    ("invoice.paid", payloads.invoice()),
]


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_no_replaced_field_of_a_real_document_raises_anything_but_unusable(data: st.DataObject) -> None:
    name, built = data.draw(st.sampled_from(BUILDERS))
    fields = data.draw(st.lists(st.sampled_from(sorted(built)), min_size=1, max_size=3))
    document = payloads.envelope(name, built | {field: data.draw(json_values) for field in fields})
    for member in data.draw(st.lists(st.sampled_from(["account_id", "timestamp", "previous_attributes"]), max_size=1)):
        document[member] = data.draw(json_values)
    read_by_all(document)
