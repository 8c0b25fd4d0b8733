import re

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from quntedge.kit.clock import FrozenClock
from quntedge.notifications.editing import Draft
from quntedge.notifications.rules import Kind
from quntedge.settings import Settings
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import Vault
from tests.edge.shop import Shop, open_shop
from tests.web.browser import HTML


async def test_the_preview_is_there_in_the_demo_alone(shop: Shop) -> None:
    client = shop.client(headers=HTML)
    for path in ("/mail-preview", "/mail-preview/renewal_paid/en", "/mail-preview/renewal_paid/en/html"):
        assert (await client.get(path)).status_code == 404


@pytest.mark.long
async def test_every_mail_in_every_shape(
    settings: Settings, engine: AsyncEngine, units: UnitOfWorkFactory, clock: FrozenClock, vault: Vault
) -> None:
    demo = settings.model_copy(update={"demo": True})
    async with open_shop(demo, engine, units, clock, vault) as opened:
        client = opened.client(headers=HTML)
        first = await client.get("/mail-preview", follow_redirects=True)
        links = set(re.findall(r'href="(/mail-preview/[a-z_]+/(?:en|fr))"', first.text))
        assert links == {f"/mail-preview/{kind}/{locale}" for kind in Kind for locale in ("en", "fr")}
        for link in sorted(links):
            page = await client.get(link)
            assert page.status_code == 200, link
            assert "None" not in page.text
        page = await client.get("/mail-preview/payment_failed/fr")
        shapes = re.findall(r'href="(/mail-preview/payment_failed/fr\?shape=\d+)"', page.text)
        assert len(shapes) > 3
        texts = [(await client.get(shape)).text for shape in shapes]
        assert len({re.sub(r"shape=\d+", "", text) for text in texts}) == len(texts), "no shape is shown twice"
        html = await client.get("/mail-preview/payment_failed/fr/html?shape=1")
        assert html.headers["content-security-policy"].startswith("default-src 'none'")
        assert "<script" not in html.text

        async with units() as unit:
            draft = Draft(subject="Merci <b>beaucoup</b>")
            await opened.services.mails.save(unit, "renewal_paid", "fr", draft, by="staff:kim")
            await unit.commit()
        edited = await client.get("/mail-preview/renewal_paid/fr")
        assert "Merci &lt;b&gt;beaucoup&lt;/b&gt;" in edited.text
        assert "version 1" in edited.text
        for bad in ("birthday/fr", "renewal_paid/de", "renewal_paid/fr?shape=99", "renewal_paid/fr?shape=-1"):
            assert (await client.get(f"/mail-preview/{bad}")).status_code == 404, bad
        assert (await client.get("/mail-preview/renewal_paid/fr?shape=x")).status_code in (400, 422)
