"""All that an emulator holds in memory: its records and the tables they lie in."""
