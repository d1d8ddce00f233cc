"""The claim itself, by the simulator's own bill: what `benchmarks/overspend.py` prints, as tests."""
