"""What a caller sees of a prediction besides its output: logs and metrics, and the trace of what was our fault."""

import traceback
from collections.abc import Sequence

from cog import current_scope

from models.errors import ParleyError
from models.request import Generated


def tell(error: Exception) -> None:
    """Cog reports the message alone; this is the only trace in the logs of what is not the caller's mistake."""
    if not isinstance(error, ParleyError) or error.status >= 500:
        traceback.print_exc()


def report(made: Sequence[Generated], seconds: float) -> None:
    """What a caller sees of a finished prediction, in its logs and its metrics.

    seconds: of all its files. The seed and the status are those of the first.
    """
    first = made[0]
    steps, audio = sum(one.steps_executed for one in made), sum(one.audio_seconds for one in made)
    total = max(one.total_seconds for one in made)
    speed = audio / total
    print(f"{steps} tokens, {audio:.2f} s of audio in {total:.2f} s ({speed:.2f} x real time); ended: {first.status}")
    print(f"{seconds:.2f} s as finished")
    for name, value in {
        "tokens": steps,
        "audio_seconds": round(seconds, 3),
        "seed": first.seed,
        "time_to_first_audio": round(min(one.first_audio_seconds for one in made), 3),
        "times_real_time": round(speed, 3),
        "status": str(first.status),
    }.items():
        current_scope().record_metric(name, value)
