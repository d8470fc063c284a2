"""The job of one request: speak its plan passage by passage, as audio chunks. Knows no slots and no other request.

A job is a generator that the engine resumes. It yields a `Wait` where it needs frames of the decoder, and an
AudioChunk where it has audio, or progress worth telling.
"""

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch

from models.audio.effects import EdgeFade
from models.codecs.code_stream import CodeStream
from models.codecs.dac import DacCodec
from models.decoding.sequence import CodeSequence, Wait
from models.dia.config import DiaConfig
from models.dia.plan import ROOM, Plan, Utterance
from models.dia.script import cut_transcript
from models.dia.take import SHORTEST_SHARE, TakeFacts, judge, length_limit, passage_seed
from models.dia.tokenizer import encode
from models.dia.voice import VoiceCache
from models.errors import GenerationFailed
from models.request import Audio, AudioChunk, Codes, GenerationStatus

PIECE_FRAMES = 86  # 1 s: the codec decodes pieces of this size at most, for the cache's sake and to be interruptible
TAKES = 3  # of a passage, before the least bad one is returned
GAP_SECONDS = 0.2  # between passages, a breath

Job = Generator[Wait | AudioChunk, None, None]


@dataclass(frozen=True, eq=False)
class Prompt:
    """What the decoder hears before it speaks."""

    codes: np.ndarray  # [K, T]
    transcript: str


@dataclass(frozen=True, eq=False)
class Take:
    """One finished attempt at a passage."""

    sequence: CodeSequence
    audio: Audio  # [1, L], the gap before it included
    fault: str | None

    @property
    def frames(self) -> int:
        return self.sequence.frames

    @property
    def usable(self) -> bool:
        return self.frames > 0 and bool(np.isfinite(self.audio).all())


class Dialogue:
    """State of one request while it is spoken."""

    def __init__(self, plan: Plan, config: DiaConfig, codec: DacCodec, voices: VoiceCache, window_frames: int) -> None:
        self.plan = plan
        self.config = config
        self.codec = codec
        self.voices = voices
        self.window_frames = window_frames
        self.sampling = plan.request.sampling_params
        self.frames_kept = 0  # of the passages that are done
        self.chunks = 0
        self.notes = list(plan.notes)
        self.progress = 0.0
        self.tail = self._tail(np.zeros((codec.codebooks, 0), dtype=np.int64))
        self.cut_short = False

    def speak(self) -> Job:
        """The whole request. The last chunk has no audio of its own: by then everything has been sent."""
        prompt = yield from self._first_prompt()
        last = len(self.plan.utterances) - 1
        for number, utterance in enumerate(self.plan.utterances):
            if self._budget < SHORTEST_SHARE * utterance.seconds * self.codec.frame_rate:
                self._note_unspoken(number)
                break
            take = yield from self._passage(number, utterance, prompt)
            self.frames_kept += take.frames
            self.cut_short |= not take.sequence.ended_by_itself
            if self.plan.voice is None and number < last:
                prompt = self._carry(take, utterance, self.plan.utterances[number + 1], prompt)
        done = GenerationStatus.MAXIMUM_LENGTH if self.cut_short else GenerationStatus.END_OF_SEQUENCE
        yield self._chunk(self._silence(0), self.frames_kept, done)

    @property
    def _budget(self) -> int:
        """Frames that may still be spoken."""
        return max(0, self.sampling.max_new_tokens - self.frames_kept)

    def _passage(self, number: int, utterance: Utterance, prompt: Prompt) -> Generator[Wait | AudioChunk, None, Take]:
        """The first take that is good, or the least bad of TAKES. What a stream has sent cannot be taken again."""
        streaming = self.plan.request.streaming
        takes: list[Take] = []
        for attempt in range(TAKES):
            sequence = self._sequence(utterance, prompt, passage_seed(self.sampling.seed, number, attempt))
            take = yield from self._take(sequence, utterance, number, send=streaming)
            takes.append(take)
            if take.fault is not None:
                self.notes.append(f"passage {number + 1}, take {attempt + 1}: {take.fault}")
            if take.frames and (streaming or take.fault is None):
                break
        best = min(takes, key=lambda t: (not t.usable, t.fault is not None, not t.sequence.ended_by_itself))
        if not best.usable:
            raise GenerationFailed(f"No take of passage {number + 1} gave audio, of {len(takes)}; try another seed.")
        if self._stopped_by_caller(best.sequence):
            self.notes.append(f"max_new_tokens reached: passage {number + 1} was stopped before its end")
        if not streaming:
            self.tail = self._tail(best.sequence.codes(0, best.frames), first=number == 0)
            yield self._chunk(best.audio, self.frames_kept + best.frames)
        return best

    def _sequence(self, utterance: Utterance, prompt: Prompt, seed: int) -> CodeSequence:
        text = " ".join(filter(None, (prompt.transcript, utterance.text)))
        ids = utterance.ids or tuple(encode(text, end_mark=self.config.end_mark))
        room = self.window_frames - prompt.codes.shape[1]
        limit = min(self._budget, room)
        if utterance.ids is None:
            limit = min(limit, length_limit(utterance.seconds, self.codec.frame_rate))
        return CodeSequence(ids, prompt.codes, self.sampling.with_seed(seed), limit, self.config.delays)

    def _take(
        self, sequence: CodeSequence, utterance: Utterance, number: int, *, send: bool
    ) -> Generator[Wait | AudioChunk, None, Take]:
        """Generate and decode side by side. `send` gives each piece away at once; else they are kept for the check."""
        speech = self._codec_stream(number)
        last = len(self.plan.utterances) - 1
        # Only where passages meet: the outer edges belong to whoever finishes or continues the audio.
        fade = EdgeFade(self.codec.sample_rate, 1, fade_in=number > 0, fade_out=number < last)
        pieces = [self._gap(number)]
        sent = pushed = 0
        size = 1 if send else PIECE_FRAMES
        ended = False
        while not ended:
            yield Wait(sequence, pushed + size + (self.codec.context_frames if pushed == 0 else 0))
            # Looked at once: while a chunk is on its way, the decoder steps on.
            frames, ended = sequence.frames, sequence.done
            fresh = torch.from_numpy(sequence.codes(pushed, frames))
            pushed = frames
            pieces.append(fade.push(speech.push(fresh).cpu().numpy()))
            if ended:
                pieces += [fade.push(speech.flush().cpu().numpy()), fade.flush()]
            if send:
                heard = pushed if ended else max(0, pushed - self.codec.context_frames)
                self.tail = self._tail(sequence.codes(0, heard), first=number == 0)
                yield self._chunk(np.concatenate(pieces[sent:], axis=1), self.frames_kept + pushed)
                sent, size = len(pieces), min(2 * size, PIECE_FRAMES)
            else:
                yield self._chunk(self._silence(0), self.frames_kept + pushed)
        audio = np.concatenate(pieces, axis=1)
        return Take(sequence, audio, self._fault(audio, sequence, utterance))

    def _tail(self, codes: np.ndarray, *, first: bool = True) -> Codes:
        """The newest frames of which the audio has been sent, [N, K] and read-only: what continues it starts here."""
        earlier = self.plan.buffer
        if first and earlier is not None:
            codes = np.concatenate([earlier, codes], axis=1)
        tail = codes[:, -2 * self.codec.context_frames :].T.copy()
        tail.flags.writeable = False
        return tail

    def _first_prompt(self) -> Generator[Wait | AudioChunk, None, Prompt]:
        """The caller's voice, encoded if it is a new one; or nothing."""
        voice = self.plan.voice
        if voice is None:
            return Prompt(np.zeros((self.codec.codebooks, 0), dtype=np.int64), "")
        codes = self.voices.get(voice)
        if codes is None:
            assert voice.audio is not None
            pieces = []
            for piece in self.codec.encode_pieces(voice.audio):
                pieces.append(piece.cpu().numpy())
                yield self._chunk(self._silence(0), 0)  # others step meanwhile, and a cancel is heard
            codes = np.concatenate(pieces, axis=1)
            self.voices.put(voice, codes)
        return Prompt(codes, voice.transcript)

    def _carry(self, take: Take, spoken: Utterance, coming: Utterance, earlier: Prompt) -> Prompt:
        """The passage just spoken as the next one's prompt: as much of it as leaves room, and the words of that part.

        A flawed take hands nothing on; the voice before it does.
        """
        if take.fault is not None and earlier.transcript:
            return earlier
        codes = take.sequence.codes(0, take.frames)
        room = max(0, self.window_frames - round(ROOM * coming.seconds * self.codec.frame_rate))
        said = 1.0 if take.sequence.ended_by_itself else take.frames / (spoken.seconds * self.codec.frame_rate)
        fraction = min(1.0, said) * min(1.0, room / codes.shape[1])
        words = spoken.text if fraction == 1 else cut_transcript(spoken.text, fraction)[0]
        return Prompt(codes[:, :room], words) if words else Prompt(codes[:, :0], "")

    def _codec_stream(self, number: int) -> CodeStream:
        """A decoder of codes; the first passage goes on where the caller's earlier request ended."""
        if number > 0 or self.plan.buffer is None:
            return self.codec.stream()
        return self.codec.stream(torch.from_numpy(self.plan.buffer))

    def _fault(self, audio: Audio, sequence: CodeSequence, utterance: Utterance) -> str | None:
        """What is wrong with a take. Random weights make noise, and a caller's own limit is no fault of the take."""
        if not self.config.speech or self._stopped_by_caller(sequence):
            return None
        return judge(TakeFacts(audio, self.codec.sample_rate, utterance.seconds, sequence.ended_by_itself))

    def _stopped_by_caller(self, sequence: CodeSequence) -> bool:
        """Whether max_new_tokens ended it. Asked before its frames are counted as kept."""
        return not sequence.ended_by_itself and sequence.max_frames == self._budget

    def _note_unspoken(self, number: int) -> None:
        left = " ".join(u.text for u in self.plan.utterances[number:])
        self.notes.append(f"max_new_tokens reached; {len(left)} characters were not spoken, from {left[:40]!r} on")
        self.cut_short = True

    def _gap(self, number: int) -> Audio:
        return self._silence(round(GAP_SECONDS * self.codec.sample_rate) if number else 0)

    def _silence(self, samples: int) -> Audio:
        return np.zeros((1, samples), dtype=np.float32)

    def _chunk(self, audio: Audio, frames: int, status: GenerationStatus = GenerationStatus.ACTIVE) -> AudioChunk:
        """Audio, and what the caller should know by now; each note is said once."""
        notes, self.notes = tuple(self.notes), []
        expected = min(self.plan.seconds * self.codec.frame_rate, self.sampling.max_new_tokens)
        done = status is not GenerationStatus.ACTIVE
        self.progress = 1.0 if done else max(self.progress, min(0.99, frames / expected))  # a new take begins lower
        chunk = AudioChunk(
            audio=audio,
            sample_rate=self.codec.sample_rate,
            index=self.chunks,
            status=status,
            steps_executed=frames,
            progress=self.progress,
            seed=self.sampling.seed,
            buffer_speech_tokens=self.tail,
            notes=notes,
        )
        self.chunks += 1
        return chunk
