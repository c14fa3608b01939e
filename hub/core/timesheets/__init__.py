"""Worked time, from entry to approval."""
