"""Measurements against peers. Each is a command that prints a table, and one JSON document as its last line."""
