"""A stand-alone program that speaks the part of Whop's HTTP API the product uses, with a clock that can be moved.

It imports nothing of the product but `quntedge.kit`, needs no database, and nothing of the product imports it but the
command line. Build it with `app.create_emulator`, serve it with `serving.serve`, use it in tests through
`testing.running_emulator`.

Where Whop documents nothing, these choices were made:

- A checkout's first payment has no membership until it is paid; each try on the checkout page is a new payment.
- Renewals carry neither metadata nor checkout id, since integrations report both missing.
- A renewal sends membership.activated and membership.updated; becoming past_due, canceled or expired sends
  membership.deactivated as well as membership.updated.
- A declined renewal is tried again after one, three and five days. While it is past due the period stays where it was;
  once paid, the next period begins at the old end. Given up, the payment is `uncollectible` (`void` when the
  membership was canceled meanwhile) and payment.canceled is sent.
- A trial's end is announced three days ahead. A trial is used up only by a purchase that worked.
- Immediate cancellation leaves `current_period_end` as it was: the status alone ends access.
- Resuming after the period ran out bills at once and starts the period anew.
- A refund is pending first and shows on the payment only once it has settled.

Where it deviates on purpose:

- `redirect_url` may be plain http on the own machine, and webhook addresses may be private (`allow_private_urls`).
- `@example.com` buyers are let in. Only the four sandbox cards exist.
- Api-Version-Date before 2026-09-02-1 is refused: the API speaks native shapes only. Webhooks follow their pin.
- Saving a card without a purchase (mode `setup`), promo codes at checkout, disputes, taxes and the disabling of
  endpoints that keep failing are not there yet. Unknown parameters are refused with 400.
"""
