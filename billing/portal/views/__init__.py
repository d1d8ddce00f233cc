"""Views over the books, one page a file."""
