"""What was measured, as rows of figures. Knows nothing of what they are of."""

import math
import sys
from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of them does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def milliseconds(seconds: float, digits: int | None = None) -> float:
    """digits: behind the point; whole milliseconds without."""
    return round(1e3 * seconds, digits)


def print_row(row: Row) -> None:
    """To stderr, as soon as it is known: stdout ends with all of them."""
    print("  ".join(f"{key} {value}" for key, value in row.items()), file=sys.stderr, flush=True)
