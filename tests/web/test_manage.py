from collections.abc import Sequence
from datetime import timedelta

from jinja2 import ChoiceLoader, DictLoader
from sqlalchemy import select, update

from quntedge.accounts.models import AppUser
from quntedge.kit.dates import SHORT, day
from quntedge.subscriptions.models import STATUSES, Subscription
from quntedge.web import actions, words
from quntedge.web.actions import Action, Offer, Panel, Situation
from tests.edge.shop import Person, Shop
from tests.web.browser import HTML, form

KINDS = tuple(words._EVENTS)


def offering(*offers: Offer) -> actions.Provider:
    async def provider(situation: Situation) -> Sequence[Offer]:
        return offers if situation.standing.subscription is not None else ()

    return provider


async def test_what_providers_offer_stands_on_the_page_in_their_order(shop: Shop, kim: Person) -> None:
    first = Action("Change plan", "/billing/change", note="To another plan, <now> or later.")
    second = Action("Resume", "/billing/resume", method="post", fields={"attempt": "a&b"}, style="primary")
    actions.install(shop.app, [offering(first), offering(), offering(second)])
    nothing = await kim.http.get("/billing", headers=HTML)
    assert "Manage your subscription" not in nothing.text
    await shop.subscribe(kim.user_id)
    page = await kim.http.get("/billing", headers=HTML)
    assert "To another plan, &lt;now&gt; or later." in page.text
    assert page.text.index('href="/billing/change"') < page.text.index('action="/billing/resume"')
    fields = form(page, "/billing/resume")
    assert fields["attempt"] == "a&b"
    assert fields["csrf_token"]


async def test_a_panel_is_a_template_with_data_of_its_own(shop: Shop, kim: Person) -> None:
    actions.install(shop.app, [offering(Panel("_manage_sample.html", {"plan": "Weekly"}))])
    environment = shop.app.state.pages._environment
    sample = DictLoader({"_manage_sample.html": "<p>{{ panel.plan }} for {{ user.email }}</p>"})
    environment.loader = ChoiceLoader([sample, environment.loader])
    await shop.subscribe(kim.user_id)
    assert f"<p>Weekly for {kim.email}</p>" in (await kim.http.get("/billing", headers=HTML)).text


async def test_days_on_the_pages_are_those_of_the_reader(shop: Shop, kim: Person) -> None:
    await shop.subscribe(kim.user_id)
    async with shop.units() as unit:
        ends = await unit.session.scalar(select(Subscription.period_end))
    assert ends is not None
    assert ends.hour == 12
    for zone, shown in ((None, ends), ("Pacific/Kiritimati", ends + timedelta(days=1)), ("America/New_York", ends)):
        async with shop.units() as unit:
            await unit.session.execute(update(AppUser).values(time_zone=zone))
            await unit.commit()
        page = await kim.http.get("/billing", headers=HTML)
        assert f'<time datetime="{ends.isoformat()}">{day(shown, "en", SHORT)}</time>' in page.text, zone


async def test_the_portal_is_offered_while_there_is_something_to_manage(shop: Shop) -> None:
    for status in STATUSES:
        person = await shop.sign_up()
        await shop.subscribe(person.user_id, "lifetime" if status == "completed" else "monthly", status=status)
        page = await person.http.get("/billing", headers=HTML)
        assert ('href="/billing/manage"' in page.text) == (status not in ("canceled", "expired")), status


async def test_the_history_in_plain_words_a_page_at_a_time(shop: Shop, kim: Person) -> None:
    other = await shop.sign_up()
    subscription = await shop.subscribe(kim.user_id)
    begin = shop.clock.now() - timedelta(days=40)
    for number, kind in enumerate(KINDS):
        await shop.event(kim.user_id, subscription, begin + timedelta(days=number), kind)
    await shop.event(kim.user_id, subscription, begin + timedelta(days=30), "subscription.turned_blue")
    theirs = await shop.subscribe(other.user_id)
    await shop.event(other.user_id, theirs, begin, "subscription.turned_red")

    first = await kim.http.get("/billing/history", headers=HTML)
    assert "Turned blue" in first.text, "an event that has no words yet is shown all the same"
    assert "Newer" not in first.text
    cursor = first.text.partition('href="/billing/history?cursor=')[2].partition('"')[0]
    second = await kim.http.get(f"/billing/history?cursor={cursor}", headers=HTML)
    assert "Newer" in second.text
    told = first.text + second.text
    assert [kind for kind in KINDS if words.event(kind).text not in told] == []
    assert "Turned red" not in told
    assert (await kim.http.get("/billing/history?cursor=nonsense", headers=HTML)).status_code == 400


async def test_an_empty_history(shop: Shop, kim: Person) -> None:
    assert "Nothing has happened yet" in (await kim.http.get("/billing/history", headers=HTML)).text


async def test_the_date_that_matters_and_who_did_it(shop: Shop, kim: Person) -> None:
    subscription = await shop.subscribe(kim.user_id)
    plan = await shop.plan("monthly")
    after = {"status": "active", "plan_id": plan.id, "period_end": "2026-10-03T12:00:00+00:00"}
    at = shop.clock.now()
    actor = f"customer:{kim.user_id}"
    kind = "subscription.cancellation_scheduled"
    await shop.event(kim.user_id, subscription, at, kind, after=after, actor=actor)
    page = (await kim.http.get("/billing/history", headers=HTML)).text
    for text in ("Cancelled", "access until", "3 Oct 2026", "Monthly", "By you"):
        assert text in page
