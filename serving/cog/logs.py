"""What a container prints of a prediction → a listener's lines and progress. Knows tqdm's bars, no HTTP."""

import re

from serving.work.backend import Listener

_BREAK = re.compile(r"[\r\n]+")
_BAR = re.compile(r"\s*(\d{1,3})%\|")  # how a bar of tqdm begins
_SECONDS = re.compile(r", (\d+(?:\.\d+)?) s,")  # of audio made, behind the bar of predict.py


class Logs:
    """Told again and again what was printed so far, from its beginning: the listener hears each line once.

    Bars are progress, and no lines.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._told = 0  # lines
        self._share, self._seconds = 0.0, 0.0

    def hear(self, printed: str, ended: bool = False) -> None:
        """ended: the last line is whole too. Raises what the listener raises: Cancelled, for one."""
        lines = _BREAK.split(printed)
        self._read_bar(lines)
        whole = lines if ended else lines[:-1]
        for line in whole[self._told :]:
            if line.strip() and not _BAR.match(line):
                self._listener.log(line)
        self._told = max(self._told, len(whole))
        self._listener.progress(self._share, self._seconds)

    def _read_bar(self, lines: list[str]) -> None:
        """The newest, which ends with no line break until the next one is drawn."""
        for line in reversed(lines):
            if bar := _BAR.match(line):
                self._share = min(int(bar[1]), 100) / 100
                if seconds := _SECONDS.search(line):
                    self._seconds = float(seconds[1])
                return
