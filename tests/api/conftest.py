from tests.edge.fixtures import emulator, kim, selling_shop, shop

__all__ = ["emulator", "kim", "selling_shop", "shop"]
