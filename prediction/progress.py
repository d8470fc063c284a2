"""How far a prediction is, as a bar in its logs."""

import time

from tqdm import tqdm

from models.request import AudioChunk


class _Bar(tqdm):
    """tqdm without its watching thread: no thread may be started in a prediction (models/threads.py says why)."""

    monitor_interval = 0


class ProgressBar:
    """Tokens, seconds of audio and speed so far, as a tqdm bar in the prediction's logs.

    count: of requests that are made at once; the bar shows their mean, and says what they have to say once.
    """

    def __init__(self, frame_rate: float, count: int = 1) -> None:
        self._frame_rate = frame_rate
        self._started = time.perf_counter()
        self._steps, self._progress = [0] * count, [0.0] * count
        self._said: set[str] = set()
        self._bar = _Bar(
            total=100, unit="%", mininterval=1.0, miniters=0, bar_format="{l_bar}{bar}| {elapsed}<{remaining}{postfix}"
        )

    def show(self, chunk: AudioChunk) -> None:
        self.show_one(0, chunk)

    def show_one(self, index: int, chunk: AudioChunk) -> None:
        """The next chunk of request `index`."""
        for note in chunk.notes:
            if note not in self._said:
                self._bar.write(f"note: {note}")  # on a line of its own, not behind what the bar has drawn
                self._said.add(note)
        self._steps[index], self._progress[index] = chunk.steps_executed, chunk.progress
        steps, seconds = sum(self._steps), sum(self._steps) / self._frame_rate
        speed = seconds / (time.perf_counter() - self._started)
        self._bar.set_postfix_str(f"{steps} tokens, {seconds:.1f} s, {speed:.2f} x real time", refresh=False)
        self._bar.update(100 * sum(self._progress) / len(self._progress) - self._bar.n)

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
