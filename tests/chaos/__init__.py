"""Failures under load: processes killed, servers stopped and restored. What is compared comes from outside."""
