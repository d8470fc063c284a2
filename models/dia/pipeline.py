"""Dia, whole: the only file that sees the network, the codec, the text and the voice. Above it there is no torch."""

from collections.abc import Iterator
from typing import Self

from models.codecs.dac import DacCodec
from models.decoding.cache import KeyValuePool
from models.decoding.public_codes import check_codes
from models.decoding.runtime import Runtime
from models.decoding.sequence import Wait
from models.dia.dialogue import Dialogue
from models.dia.generate import DiaDecoder
from models.dia.hearing import Hearing
from models.dia.layers import Packs
from models.dia.model import DiaNetwork
from models.dia.plan import Plan, make_plan
from models.dia.tokenizer import TEXT_LIMIT
from models.dia.voice import VoiceCache, read_voice
from models.errors import InvalidRequest, WeightsError
from models.request import AudioChunk, AudioGenerationRequest
from models.weights import CheckpointPaths, refuse_folder


class DiaPipeline:
    """Text and a voice → audio, for the engine to run. Immutable but for the caches."""

    channels = 1

    def __init__(
        self,
        name: str,
        network: DiaNetwork,
        codec: DacCodec,
        pool: KeyValuePool,
        thread_counts: tuple[int, ...] = (),
        hearing: Hearing | None = None,
    ) -> None:
        if codec.codebooks != network.config.decoder.codebooks:
            raise WeightsError(
                f"{name}: the network writes {network.config.decoder.codebooks} codebooks, the codec reads "
                f"{codec.codebooks}; they do not belong together."
            )
        self.name = name
        self.network = network
        self.codec = codec
        self.decoder = DiaDecoder(network, pool, thread_counts)
        self.voices = VoiceCache()
        self.hearing = hearing or Hearing(None)
        self.sample_rate = codec.sample_rate
        self.frame_rate = codec.frame_rate
        self.draws_voices = not network.config.own_voices

    @classmethod
    def load(cls, paths: CheckpointPaths, runtime: Runtime, hearing: Hearing | None = None) -> Self:
        """Network and codec of a complete checkpoint; `hearing` listens to recordings that come without their words.

        Raises WeightsError.
        """
        refuse_folder(paths.model)
        device, dtype = runtime.device, runtime.dtype
        network = DiaNetwork.load(paths.model, dtype=dtype, device=device, packs=Packs.of(runtime))
        codec = DacCodec.load(paths.codec, device=device)  # float32, as published: bfloat16 adds noise at -35 dB
        pool = KeyValuePool.within(runtime.cache_budget(), network.cache_shape, device)
        return cls(paths.name, network, codec, pool, runtime.thread_counts, hearing)

    def prepare(self, request: AudioGenerationRequest) -> Plan:
        """Everything that can be refused, before any work of the network's: model, sampling, voice, text."""
        if request.model != self.name:
            raise InvalidRequest("model", f"is {request.model!r}; {self.name!r} is loaded here.")
        buffer = None
        if request.buffer_speech_tokens is not None and len(request.buffer_speech_tokens):
            buffer = check_codes(
                request.buffer_speech_tokens, "buffer_speech_tokens", self.codec.codebooks, self.codec.codebook_size
            )
        window, plain_text = self.decoder.max_frames, self.network.config.plain_text
        voice = read_voice(request, self.codec, window, self.hearing, plain_text=plain_text)
        limit = TEXT_LIMIT - self.network.config.end_mark
        return make_plan(request, voice, buffer, window, self.codec.frame_rate, plain_text=plain_text, text_limit=limit)

    def speak(self, plan: Plan) -> Iterator[Wait | AudioChunk]:
        """The job of a plan; see models/dia/dialogue.py."""
        return Dialogue(plan, self.network.config, self.codec, self.voices, self.decoder.max_frames).speak()
