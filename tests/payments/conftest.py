from tests.edge.fixtures import kim, shop

__all__ = ["kim", "shop"]
