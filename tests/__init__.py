"""The tests, file for file as the packages are."""
