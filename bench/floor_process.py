"""Repeats recorded statements in a process of its own, on psycopg alone."""

import os
import pickle
import sys
from pathlib import Path
from time import perf_counter, process_time

import psycopg

from bench.children import tell
from bench.recording import replay

if __name__ == "__main__":
    steps = pickle.loads(Path(sys.argv[1]).read_bytes())
    with psycopg.connect(os.environ["DATABASE_URL"], options="-c timezone=UTC", prepare_threshold=2) as connection:
        began, cpu_began = perf_counter(), process_time()
        replay(connection, steps)
        tell(seconds=perf_counter() - began, cpu_seconds=process_time() - cpu_began)
