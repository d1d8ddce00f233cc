"""Stream to rows to sums: the recorder, and every query behind a number."""
