"""How a payment's record moves, and what a decline means."""

from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest

from quntedge.payments import rules
from quntedge.payments.rules import DeclineClass, PaymentState, Verdict, judge
from tests.payments.builders import AT, state

LATER = AT + timedelta(minutes=1)
EARLIER = AT - timedelta(minutes=1)
UNPAID = (
    "draft open requires_action failed unresolved pending authorized uncollectible void".split()  # below "paid"
)
COLLECTED = ("paid", "partially_refunded", "refunded")


@pytest.mark.parametrize(
    ("held", "incoming", "delivered", "read_by_us"),
    [
        pytest.param(None, state(), "applied", "applied", id="first"),
        pytest.param(None, state(at=None), "reread", "applied", id="first-without-a-time"),
        pytest.param(state("open"), state("open", at=EARLIER), "stale", "stale", id="older"),
        pytest.param(state("open"), state(at=EARLIER), "stale", "stale", id="older-though-paid"),
        pytest.param(state(), state(), "unchanged", "unchanged", id="the-same"),
        pytest.param(state("open"), state(), "reread", "applied", id="equally-old-but-different"),
        pytest.param(state("open"), state(at=LATER), "applied", "applied", id="newer"),
        pytest.param(state(), state("open", at=LATER), "reread", "applied", id="newer-but-not-paid-any-more"),
        pytest.param(state("refunded"), state(at=LATER), "reread", "applied", id="newer-but-not-refunded-any-more"),
        pytest.param(state(), state("refunded", at=LATER), "applied", "applied", id="newer-and-refunded"),
        pytest.param(state(), state(at=None), "reread", "applied", id="without-a-time"),
        pytest.param(state(at=None), state(at=None), "reread", "unchanged", id="both-without-a-time"),
    ],
)
def test_judge(held: PaymentState | None, incoming: PaymentState, delivered: str, read_by_us: str) -> None:
    assert judge(held, incoming, from_gateway=False) == Verdict(delivered)
    assert judge(held, incoming, from_gateway=True) == Verdict(read_by_us)


def test_refund_totals_are_no_difference_between_snapshots() -> None:
    # They are summed up from refund records, which may know more than the payment.
    held = state("partially_refunded", raw_status="paid", refunded_minor=500)
    assert judge(held, state(), from_gateway=False) is Verdict.UNCHANGED


@pytest.mark.parametrize("held", COLLECTED)
@pytest.mark.parametrize("incoming", UNPAID)
def test_a_collected_payment_stays_collected(held: str, incoming: str) -> None:
    merged = rules.merge(state(held), state(incoming, at=LATER))
    assert rules.is_paid(merged.status)
    assert merged.paid_at == AT
    assert not rules.is_paid(incoming)


@pytest.mark.parametrize(("held", "incoming"), list(permutations(UNPAID, 2)))
def test_before_it_is_collected_the_newer_word_counts_unless_it_leads_back(held: str, incoming: str) -> None:
    climbs = rules.rank(incoming, 0) >= rules.rank(held, 0)
    assert rules.merge(state(held), state(incoming, at=LATER)).status == (incoming if climbs else held)


@pytest.mark.parametrize("held", ["pending", "authorized"])
def test_a_transfer_that_bounced_is_open_again(held: str) -> None:
    assert rules.merge(state(held), state("failed", at=LATER, attempts_failed=1)).status == "failed"
    assert rules.merge(state(held, attempts_failed=1), state("failed", at=LATER, attempts_failed=1)).status == held


@pytest.mark.parametrize("held", ["void", "uncollectible"])
def test_what_was_given_up_is_only_left_by_being_paid(held: str) -> None:
    assert rules.merge(state(held), state("open", at=LATER, attempts_failed=3)).status == held
    assert rules.merge(state(held), state("paid", at=LATER)).status == "paid"


@pytest.mark.parametrize(
    ("refunded", "status"),
    [
        (-1, "paid"),
        (0, "paid"),
        (1, "partially_refunded"),
        (3160, "partially_refunded"),
        (3161, "refunded"),
        (3162, "refunded"),
    ],
)
@pytest.mark.parametrize("before", COLLECTED)
def test_with_refunds(before: str, refunded: int, status: str) -> None:
    assert rules.with_refunds(before, 3161, refunded) == status
    assert rules.merge(state("open"), state(before, at=LATER, refunded_minor=refunded)).status == status
    assert rules.merge(None, state(before, refunded_minor=refunded)).status == status


def test_what_was_not_collected_cannot_be_refunded_and_an_unknown_total_never_is_wholly() -> None:
    assert [rules.with_refunds(status, 3161, 3161) for status in UNPAID] == UNPAID
    assert rules.with_refunds("paid", None, 10**9) == "partially_refunded"


def test_nothing_known_is_forgotten() -> None:
    held = state(attempts_failed=2)
    sparse = state(at=LATER, attempts_failed=1, total_minor=None, net_minor=None, paid_at=None)
    merged = rules.merge(held, sparse)
    assert (merged.attempts_failed, merged.total_minor, merged.net_minor, merged.paid_at) == (2, 3161, 3000, AT)
    told = rules.merge(held, state(at=LATER, attempts_failed=3, total_minor=100, net_minor=90, paid_at=LATER))
    assert (told.attempts_failed, told.total_minor, told.net_minor, told.paid_at) == (3, 100, 90, LATER)
    silent = state(
        at=LATER,
        whop_member_id=None,
        whop_promo_code_id=None,
        whop_method_id=None,
        method_kind=None,
        method_brand=None,
        method_last4=None,
        method_exp_month=None,
        method_exp_year=None,
        presentment_minor=None,
        presentment_currency=None,
    )
    assert rules.merge(held, silent) == replace(held, updated_at=LATER)
    # A refund is measured against the total that was known all along.
    assert rules.merge(held, state(at=LATER, total_minor=None, refunded_minor=3161)).status == "refunded"


def test_another_method_replaces_all_of_the_one_before() -> None:
    other = state(at=LATER, whop_method_id="payt_2", method_brand=None, method_last4=None)
    merged = rules.merge(state(), other)
    assert (merged.whop_method_id, merged.method_brand, merged.method_last4) == ("payt_2", None, None)


def test_disputes_have_records_of_their_own_and_the_fee_is_told_once() -> None:
    held = state(disputed_minor=3161, dispute_status="needs_response", fee_minor=161)
    merged = rules.merge(held, state(at=LATER, net_minor=1500, fee_minor=1661))
    assert (merged.disputed_minor, merged.dispute_status, merged.fee_minor) == (3161, "needs_response", 161)
    assert judge(held, state(), from_gateway=False) is Verdict.UNCHANGED


@pytest.mark.parametrize(
    ("status", "substatus", "refunded", "total", "net", "expected"),
    [
        ("paid", "succeeded", 0, 3161, 3000, 161),
        ("paid", None, 0, 3161, 3161, 0),
        ("paid", "partially_refunded", 0, 3161, 3000, None),
        ("paid", "dispute_needs_response", 0, 3161, 3000, None),
        ("paid", "succeeded", 1, 3161, 3000, None),
        ("open", None, 0, 3161, 0, None),
        ("paid", "succeeded", 0, 3161, None, None),
        ("paid", "succeeded", 0, None, 3000, None),
        ("paid", "succeeded", 0, 3161, 3162, None),
    ],
)
def test_fee(
    status: str, substatus: str | None, refunded: int, total: int | None, net: int | None, expected: int | None
) -> None:
    assert rules.fee(status, substatus, refunded, total, net) == expected


DECLINES = {
    DeclineClass.SOFT: """
        insufficient_funds bank_insufficient_funds processing_error issuer_unavailable issuer_error try_again_later
        reenter_transaction card_velocity_exceeded withdrawal_count_limit_exceeded bank_processing_error
        three_d_secure_timeout three_d_secure_generic_error""",
    DeclineClass.ACT: """
        authentication_required three_d_secure_failed three_d_secure_declined three_d_secure_anything_new pin_required
        pin_required_as incorrect_pin invalid_pin pin_try_exceeded""",
    DeclineClass.NEW_METHOD: """
        expired_card invalid_expiry invalid_expiry_month invalid_expiry_year invalid_card_number invalid_cvc
        invalid_cvc_anything_new invalid_zip invalid_card_holder_name card_not_supported card_type_not_supported
        currency_not_supported invalid_account no_accounts closed_account bank_account_closed bank_account_not_found
        bank_account_frozen bank_invalid_routing_number bank_non_transaction_account bank_details_invalid
        sepa_invalid_iban sepa_no_mandate sepa_mandate_data_invalid issuer_not_found""",
    DeclineClass.HARD: """
        lost_card stolen_card suspected_fraud restricted_card merchant_blacklist transaction_stopped
        bank_payment_stopped bank_authorization_revoked bank_not_authorized bank_account_holder_deceased
        sepa_refused_by_customer sepa_disputed blocked_by_cardholder regulatory_blocked bank_regulatory_blocked
        high_risk""",
    DeclineClass.UNCLEAR: """
        generic_decline card_declined_by_issuer bank_declined contact_issuer provider_declined cannot_authorize
        transaction_not_permitted transaction_not_allowed transaction_cancelled duplicate_transaction bank_duplicate
        invalid_amount bank_amount_error invalid_transaction invalid_country bank_generic_decline sepa_generic_decline
        test_mode_decline test_mode_test_card three_d_secure_success a_code_nobody_has_seen_before""",
}


@pytest.mark.parametrize(("code", "expected"), [(code, kind) for kind in DECLINES for code in DECLINES[kind].split()])
def test_decline_class(code: str, expected: DeclineClass) -> None:
    assert rules.decline_class(code) is expected


def test_no_code_and_an_empty_one_are_unclear() -> None:
    assert rules.decline_class(None) is DeclineClass.UNCLEAR
    assert rules.decline_class("") is DeclineClass.UNCLEAR
