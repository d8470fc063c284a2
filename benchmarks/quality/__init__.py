"""How well a checkpoint speaks: word errors by an independent judge, voices kept apart, endings, speed.

    python -m benchmarks.quality
    python -m benchmarks.quality --checkpoint DIR --lists development --limit 10
    python -m benchmarks.quality --audio DIR

Needs the packages of requirements-dev.txt. The sentence lists were written for this room; nothing is trained or tuned
on them but on `development`.
"""
