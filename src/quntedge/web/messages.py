"""What a page says once, after something was done: the texts of flash messages, by a stable key.

A message names nothing and nobody: the page below it shows what has changed. To add one, add a line here and call
`quntedge.web.flash.set_flash` with its key before the redirect.
"""

from collections.abc import Mapping

MESSAGES: Mapping[str, str] = {
    "already_subscribed": "You have a subscription already, so no second one was started. It is shown below.",
    "pause_begun": "Your subscription is paused. Nothing is charged until it resumes.",
    "pause_requested": "The payment provider has been asked to pause your subscription. You get a mail when it has.",
    "pause_moved": "The end of your pause has been moved. A mail confirms it.",
    "pause_move_requested": (
        "The payment provider has been asked to move the end of your pause. You get a mail when it has."
    ),
    "pause_over": "Your pause has ended meanwhile.",
    "pause_ended": "Welcome back. Your subscription goes on.",
    "pause_end_requested": (
        "The payment provider has been asked to resume your subscription. You get a mail when it has."
    ),
    "billing_details_saved": "Your billing details are saved. They stand on every invoice from now on.",
    "cancellation_done": "Your subscription has ended, and nothing more will be charged. A mail confirms it.",
    "cancellation_only_now": "The last payment failed, so this subscription can only be cancelled at once.",
    "cancellation_refused": "The payment provider did not accept the cancellation. Try again, or write to us.",
    "cancellation_requested": "Your cancellation is being passed on. You get a mail as soon as it is confirmed.",
    "cancellation_scheduled": "Your plan is cancelled, and nothing more will be charged. A mail confirms it.",
    "method_busy": "Something is being done to this payment method already. Look again in a moment.",
    "method_changing": "The payment provider has been asked. The change shows here as soon as it has answered.",
    "method_chosen": "Your plan is paid with this payment method from now on.",
    "method_expired": "This card has expired. Choose another one, or add a new one.",
    "method_gone": "This payment method is not saved any more.",
    "method_in_use": "Your plan is paid with this payment method. Choose another one for it first.",
    "method_not_saved": "No payment method was saved. You can try again, with another card if need be.",
    "method_pays_nothing": "You have no plan that is going to be charged, so there is nothing to pay with it yet.",
    "method_refused": "The payment provider does not accept this payment method for your plan. Choose another one.",
    "method_removed": "The payment method is removed.",
    "method_saved": "Your payment method is saved. Should it not be in the list yet, reload this page in a moment.",
    "no_receipt": "There is no receipt of this payment yet.",
    "nothing_renews": "This plan was paid once and does not renew: there is nothing to cancel.",
    "nothing_to_cancel": "You have no running subscription, so there is nothing to cancel.",
    "nothing_to_resume": "Your subscription is not set to end.",
    "nothing_to_withdraw": "You have bought nothing here that could be withdrawn from.",
    "offer_accepted": "Thank you for staying. What you were offered is yours.",
    "offer_accepting": "Thank you for staying. What you were offered is being set up.",
    "offer_unavailable": "This offer could not be set up. Your subscription goes on unchanged.",
    "other_contract": "Your contract has changed meanwhile. Please look at it again.",
    "resume_refused": "The payment provider did not take the cancellation back. Try again, or choose a plan.",
    "kept": "Your plan goes on as before. A mail confirms it.",
    "keeping": "Your wish is being passed on. You get a mail as soon as it is confirmed.",
    "under_way": "This is being done already. Look again in a moment.",
    "withdrawal_received": "We have received your withdrawal. A mail confirms it.",
    "nothing_to_confirm": "Your bank asks nothing about this payment now. Use another card, or wait a moment.",
    "nothing_to_recover": "All your payments have gone through: there is nothing to pay.",
    "recovery_choose": "Choose one of your saved cards, or add another one.",
    "recovery_failed": "This card was declined as well. Choose another one, or ask your bank why.",
    "recovery_paid": "Thank you, the payment has gone through. Everything in your plan is yours to use.",
    "recovery_processing": "The payment is being tried at this moment. Look again in a minute.",
    "recovery_refused": "This card cannot be used for your subscription. Choose another one.",
    "change_withdrawn": "Your plan goes on as before. A mail confirms it.",
    "change_withdrawing": "Your wish is being passed on. You get a mail as soon as it is confirmed.",
    "change_too_late": "This change is being done already, so it cannot be taken back any more.",
    "no_change": "No change of your plan is planned.",
    "signed_out": "You are signed out.",
}
