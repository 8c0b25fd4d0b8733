from tests.edge.fixtures import emulator, kim, shop

__all__ = ["emulator", "kim", "shop"]
