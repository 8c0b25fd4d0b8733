"""Benchmarks: how fast the product's hot paths are, each against a floor measured in the same run.

`python -m bench` runs them; `python -m bench.explain` looks at query plans on a million rows. See docs/benchmarks.md.
"""
