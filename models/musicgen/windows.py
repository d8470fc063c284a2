"""More frames than the network sees at once → overlapping windows, each of which begins with codes of the one before.

Works on numbers of frames only; knows no network, no codec and no seconds. Codes are carried over as they are, never
decoded and encoded again.
Source: MusicGen (arXiv:2306.05284) section 4.4; the schedule is audiocraft's (audiocraft/models/genmodel.py,
`_generate_tokens`): MusicGen's windows are 30 s long and 18 s apart, AudioGen's 10 s and 2 s.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """One run of the network, in frames of the whole piece."""

    start: int  # where it begins: the first frame that the network sees
    known: int  # where its new frames begin; those before it, from `start` on, are its prefix
    stop: int  # where it ends

    @property
    def prefix_frames(self) -> int:
        """Frames that it is given."""
        return self.known - self.start

    @property
    def new_frames(self) -> int:
        """Frames that it adds, at least one."""
        return self.stop - self.known


def plan_windows(frames: int, window_frames: int, stride_frames: int, prefix_frames: int = 0) -> tuple[Window, ...]:
    """The windows of a piece of `frames`, the first `prefix_frames` of which are given.

    Together they add every frame from `prefix_frames` to `frames` once. A prefix that fills the first window is carried
    on from the second, where audiocraft fails an assertion. audiocraft counts in seconds and floats, which loses the
    last frame of some durations that are no whole number of seconds; this counts in frames.

    Raises ValueError unless 0 < stride_frames < window_frames and 0 <= prefix_frames < frames, and the prefix fits the
    window.
    """
    if not 0 < stride_frames < window_frames:
        raise ValueError(f"a stride of {stride_frames} frames in a window of {window_frames}")
    if not 0 <= prefix_frames < frames or prefix_frames > window_frames:
        raise ValueError(f"a prefix of {prefix_frames} frames of {frames}, in a window of {window_frames}")
    windows = []
    start, known = 0, prefix_frames
    while known < frames:
        stop = min(start + window_frames, frames)
        if stop > known:
            windows.append(Window(start, known, stop))
        start, known = start + stride_frames, stop
    return tuple(windows)
