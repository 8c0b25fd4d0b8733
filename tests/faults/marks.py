"""When these tests run."""

import os

import pytest

KILLS = pytest.mark.skipif(
    "QUNTEDGE_TEST_FAULTS" not in os.environ, reason="kills real processes, takes minutes: make test-faults"
)
