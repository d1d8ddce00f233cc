"""The end of a customer's data: what is held about it, as a file; and how it goes while the amounts stay."""
