"""Books: the append-only ledger, the sums made from it, and what is billed from them.

Owns ``ledger_row`` and its rollups, the recorder that fills them from the usage streams, every query behind a number,
and (through sinks) what reaches an invoice. Does not own who may spend what (tenants), nor the moment's ``spent`` and
``held`` (enforcement). Ledger rows carry opaque ids only, and no foreign key: the books outlive whom they are about.

Invariants: a row is never changed, only corrected by another row; one event id is one row, however often it is read;
rollups and budget windows equal the sum of the rows (I4); a poisoned event never stalls those behind it (I5).
"""
