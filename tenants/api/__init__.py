"""The control API under ``/api/v1/``: translates between JSON and actions, and decides nothing."""
