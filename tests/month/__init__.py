"""A month of a tenant's billing on a simulated clock: calls, rates, faults and kills, judged by Stripe's stand-in."""
