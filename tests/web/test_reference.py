"""The page that problem documents point at."""

from tests.edge.shop import Shop


async def test_the_type_of_a_problem_leads_to_its_explanation(shop: Shop) -> None:
    client = shop.client()
    problem = (await client.get("/api/subscription")).json()
    page, _, anchor = problem["type"].partition("#")
    answer = await client.get(page)
    assert answer.status_code == 200
    assert f'id="{anchor}"' in answer.text
    assert problem["title"] in answer.text
