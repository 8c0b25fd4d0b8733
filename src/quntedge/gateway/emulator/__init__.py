"""A stand-alone program that speaks the part of Whop's HTTP API the product uses, with a clock that can be moved.

It imports nothing of the product but `quntedge.kit`, needs no database, and nothing of the product imports it but the
command line. Build it with `app.create_emulator`, serve it with `serving.serve`, use it in tests through
`testing.running_emulator`.

Where things are; whatever stands further up is imported only by what stands further down:

- `wire`, `faults`: how things are spelled on Whop's wire; what goes wrong on purpose.
- `state`, `rules`, `shapes`: records and tables; prices, cards and billing as pure rules; records as JSON.
- `core`: the world every rule works on, with its clock, its agenda and the announcer of events.
- `life`, `callers`: what happens to memberships and payments; keys, tokens, signing in.
- `delivery`: webhooks on their way to endpoints.
- `clockwork`, `keeping`: how time passes; how the state outlives a restart and is copied.
- `runtime`: one running emulator.
- `calls`: reading, answering, and what stands before every call: key, rate limit, idempotency, faults.
- `hosted`, `api`, `control`, `console`: Whop's pages for buyers, Whop's API, `/_control`, the console for people.
- `app`, `serving`, `testing`, `threaded`, `pytest_plugin`: the whole, and the ways to run it.

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
- A refund is pending first and shows on the payment only once it has settled. The tax in it is its share of the total.
- A charge through POST /payments keeps its metadata on the payment; the membership it starts has none. It can be
  retried any number of times, and voided until it is paid. With `capture: false` the membership begins at the capture.
- An automatic charge the bank wants confirmed sends payment.requires_action instead of payment.failed, counts as a
  failed attempt, and is tried again like any other; a card saved on a page the bank has confirmed is charged without.
- Money of a first payment that takes days (`pending`) starts the membership when it arrives; renewals never wait.
- A trial is one for each plan and mailbox: what stands behind a `+` in the address makes no other buyer.
- Promo codes: `promo_duration_months` counts charges, the first included, and not those over nothing. A use counts from
  the start of the purchase. The code stays on the membership when it has run out, so that no second one can be applied.
- A dispute debits no payment: only its fee shows in `fees` and `amount_after_fees`. `prevented` shows on the payment as
  `dispute_closed` and makes no refund of its own. Inquiries cost nothing and can become chargebacks.
- A declined card makes a setup intent `canceled` with `last_setup_error`; each try is a setup intent of its own.
- A draft invoice that is sent announces nothing. Marking an invoice as paid begins what it was for, without a payment
  and without a card: its renewal is declined. Invoices have no trial.
- Tax is taken from the country given at the checkout; sales tax is remitted by Whop and thus a fee of the payment.
- A buyer who changes the plan on the portal keeps the membership: the new plan's full price is charged at once
  (`subscription_update`), a new period begins, and nothing of the old one is given back. A decline changes nothing.
  During a trial nothing is charged. A promo code does not follow to another plan.
- A transferred membership keeps its id and its payments; the card stays with the buyer who stored it, and the newest
  card of the new owner takes its place.
- Past due gives access unless `past_due_access` is off. `member.updated` is sent when a person edits the profile.
- A membership's `cancel_option` comes from the account's own `feedback_options`; Whop's default reasons have no ids.
- Keys with some permissions only are made under `/_control`. Where Whop names no permission for an operation, the
  nearest one of its catalogue is asked for.
- Signing in asks for no password. What an id_token holds is not documented: here it says who, not what they are called.
  A code or refresh token used twice revokes the sign-in it came from. Access tokens are signed and cannot be revoked;
  with them people read their own memberships, member record and access, and nothing else.
- "Failed deliveries" that disable an endpoint are messages whose first attempt failed, as `consecutive_failures` counts
  them; they are looked at when an attempt fails. A webhook with `child_resource_events` gets nothing, as there are no
  connected accounts.
- Deliveries without an answer in time show `response_code` 0. A window is replayed by the last attempt of each message,
  replays included. Samples of events nothing leads to are objects that look like it.
- There is no rate limit unless one is set; then buckets hold a minute's worth and fill by the emulator's clock. Answers
  carry an `X-Request-Id`. A request without Api-Version-Date gets the newest version, one after it is unknown.
- Snapshots and branches (ours, not Whop's) hold the clock too, so that time may go back; ids never do. While a program
  follows the clock, going back must be forced.

Where it deviates on purpose:

- `redirect_url` may be plain http on the own machine, and webhook addresses may be private (`allow_private_urls`).
- `@example.com` buyers are let in. Besides the four sandbox cards there are some for single decline codes.
- With `real_stamps` deliveries are signed with the real time, so that receivers whose clock nobody moves accept them.
- All lists take the same paging parameters, also the few for which the official client has less of them.
- Api-Version-Date before 2026-09-02-1 is refused: the API speaks native shapes only. Webhooks follow their pin.
- Confirmation tokens, Tap to Pay and carts of several variants are refused. Unknown parameters are refused with 400.
"""
