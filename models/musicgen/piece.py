"""The job of one request: make its piece window by window, as audio chunks. Knows no slots and no other request.

A job is a generator that the engine resumes. It yields a `Wait` where it needs frames of the decoder, and an
AudioChunk where it has audio, or progress worth telling.
"""

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch

from models.codecs.codec import Codec
from models.decoding.sequence import CodeSequence, Wait
from models.musicgen.chroma import chroma, tile
from models.musicgen.conditioning import Conditioning
from models.musicgen.config import MusicgenConfig
from models.musicgen.plan import Plan
from models.musicgen.recall import Recall
from models.musicgen.render import CodecRenderer, Diffusion, DiffusionRenderer, Renderer
from models.musicgen.text import TextEncoder
from models.musicgen.windows import Window
from models.request import Audio, AudioChunk, Codes, GenerationStatus

PIECE_SECONDS = 1.0  # decoded in one go at most: for the cache's sake, and to be interruptible

Job = Generator[Wait | AudioChunk, None, None]


@dataclass(frozen=True, eq=False)
class Instruments:
    """What a piece is made with; shared by all."""

    config: MusicgenConfig
    text: TextEncoder
    codec: Codec
    prefixes: Recall[np.ndarray]  # codes [K, T] of audio that was gone on from


class Piece:
    """State of one request while its piece is made. diffusion: decodes in the codec's place; None: the codec does."""

    def __init__(self, plan: Plan, instruments: Instruments, diffusion: Diffusion | None) -> None:
        self.plan = plan
        self.sampling = plan.request.sampling_params
        self.config = instruments.config
        self.text = instruments.text
        self.codec = instruments.codec
        self.prefixes = instruments.prefixes
        self.renderer = self._renderer(diffusion)
        self.codes = np.zeros((self.config.codebooks, plan.frames), np.int64)  # filled from the left
        self.known = 0  # frames of them
        self.sent = 0  # samples
        self.chunks = 0
        self.notes = list(plan.notes)
        # One for all windows, so that each goes on with the randomness of the one before, as audiocraft's do.
        self.generator = torch.Generator().manual_seed(self.sampling.seed)

    def make(self) -> Job:
        """The whole request. The last chunk has no audio of its own: by then everything has been sent."""
        yield from self._begin()
        text = self.text.encode(self.plan.text)
        for window in self.plan.windows:
            yield from self._window(window, Conditioning(text, self._melody(window)))
        yield from self._finish()
        # Nothing but its length ends a piece: the network has no code that says so.
        yield self._chunk(self._silence(), 1.0, GenerationStatus.MAXIMUM_LENGTH)

    def _begin(self) -> Job:
        """What the piece goes on from: it is heard first."""
        codes = self.plan.prefix_codes
        if self.plan.prefix is not None:
            codes = self.prefixes.get(self.plan.prefix)
            if codes is None:
                pieces = []
                for piece in self.codec.encode_pieces(self.plan.prefix):
                    pieces.append(piece.cpu().numpy())
                    yield self._chunk(self._silence(), 0.0)  # others step meanwhile, and a cancel is heard
                codes = np.concatenate(pieces, axis=1)
                self.prefixes.put(self.plan.prefix, codes)
        if codes is None:
            return
        for start in range(0, codes.shape[1], self._piece_frames):
            yield self._heard(codes[:, start : start + self._piece_frames])

    def _window(self, window: Window, conditioning: Conditioning) -> Job:
        assert self.known == window.known, (self.known, window)
        prompt = self.codes[:, window.start : window.known]
        sequence = CodeSequence(
            conditioning, prompt, self.sampling, window.new_frames, self.config.delays, generator=self.generator
        )
        # A caller who listens gets the first piece as soon as it is exact, and larger ones from there on.
        size = 1 if self.plan.request.streaming and self.sent == 0 else self._piece_frames
        taken, ended = 0, False
        while not ended:
            yield Wait(sequence, taken + size + (self.codec.context_frames if self.sent == 0 else 0))
            # Asked together: while a chunk is on its way, the decoder steps on.
            frames, ended = sequence.frames, sequence.done
            yield self._heard(sequence.codes(taken, frames))
            taken, size = frames, min(2 * size, self._piece_frames)

    def _finish(self) -> Job:
        rendering = self.renderer.finish()
        while True:
            try:
                done = next(rendering)
            except StopIteration as end:
                yield self._chunk(end.value, 1.0)
                return
            share = self.renderer.share
            yield self._chunk(self._silence(), share + (1 - share) * done)

    def _heard(self, codes: np.ndarray) -> AudioChunk:
        """The chunk of the next codes [K, t], which become known here."""
        frames = codes.shape[1]
        self.codes[:, self.known : self.known + frames] = codes
        self.known += frames
        return self._chunk(self.renderer.push(codes), self.renderer.share * self._made / self._to_make)

    def _melody(self, window: Window) -> torch.Tensor | None:
        """The chroma that the window follows: [chroma_length, 12].

        A piece of one window hears the recording as it is. Beyond that it is repeated without end, and each window
        hears the part at its own place.
        """
        melody, c = self.plan.melody, self.config
        if melody is None:
            return None
        if self.plan.frames > c.max_frames:
            hop = self.codec.hop_length
            melody = tile(melody, window.start * hop, c.max_frames * hop)
        return chroma(melody, c.sample_rate, c.chroma_length)

    def _renderer(self, diffusion: Diffusion | None) -> Renderer:
        if diffusion is None:
            return CodecRenderer(self.codec, self.plan.buffer)
        channels, hop = self.codec.channels, self.codec.hop_length
        return DiffusionRenderer(diffusion, channels, hop, self.plan.buffer, self.sampling.seed)

    @property
    def _piece_frames(self) -> int:
        return round(PIECE_SECONDS * self.config.frame_rate)

    @property
    def _to_make(self) -> int:
        """Frames that are not given."""
        return self.plan.frames - self.plan.windows[0].known

    @property
    def _made(self) -> int:
        return max(0, self.known - self.plan.windows[0].known)

    def _tail(self) -> Codes:
        """The frames of which the audio has been sent, [N, K] and read-only: what continues it starts here.

        All of them, because EnCodec's recurrent layers forget none.
        """
        codes = self.codes[:, : self.sent // self.codec.hop_length].T
        if self.plan.buffer is not None:
            codes = np.concatenate([self.plan.buffer.T, codes])
        codes.flags.writeable = False
        return codes

    def _silence(self) -> Audio:
        return np.zeros((self.config.channels, 0), np.float32)

    def _chunk(self, audio: Audio, progress: float, status: GenerationStatus = GenerationStatus.ACTIVE) -> AudioChunk:
        """Audio, and what the caller should know by now; each note is said once."""
        notes, self.notes = tuple(self.notes), []
        self.sent += audio.shape[1]
        done = status is not GenerationStatus.ACTIVE
        chunk = AudioChunk(
            audio=audio,
            sample_rate=self.config.sample_rate,
            index=self.chunks,
            status=status,
            steps_executed=self._made,
            progress=1.0 if done else min(0.99, progress),
            seed=self.sampling.seed,
            buffer_speech_tokens=self._tail(),
            notes=notes,
        )
        self.chunks += 1
        return chunk
