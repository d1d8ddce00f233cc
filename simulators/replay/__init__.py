"""A provider that answers recorded requests with what the real one answered, byte for byte.

Rows are read from ``FAREBOX_DATA``; a request is matched to its row by a digest of its canonical JSON body without
what a gateway may set (output cap, ``stream_options``). Each row is served once, under its own id as
the request's id, so that whoever compares need not guess. It prices nothing and counts nothing.
"""
