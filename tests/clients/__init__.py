"""Official clients, unmodified, each in an environment that is thrown away: see run.py."""
