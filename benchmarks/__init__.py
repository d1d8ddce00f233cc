"""One file a claim. Each prints JSON; `benchmarks/README.md` has the last figures and how they were got."""
