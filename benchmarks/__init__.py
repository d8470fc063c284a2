"""Measurements against peers. Each is a command that prints a table, and one JSON document as its last line."""

import models  # noqa: F401  first of all: it sets how OpenMP threads wait, as any program that uses Parley has it
