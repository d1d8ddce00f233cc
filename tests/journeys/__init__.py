"""What people do with Farebox from outside, on a whole one of real processes."""
