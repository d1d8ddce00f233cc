"""Holds for calls that do not go through the proxy: granted, looked at and ended by the control API.

Owns what such a hold means in the books. What a call can cost and whether it is let in is not decided here but by the
very admission of the proxy, which the composition root lends (``asking.admitter``). An API hold counts as sent from
its grant on: nobody here sees whether the call went out, so one that nobody ends expires at its quote, unresolved.
"""
