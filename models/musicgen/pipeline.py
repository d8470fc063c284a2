"""MusicGen and AudioGen, whole: the only file that sees network, codec, text, melody and diffusion. Above it there is
no torch.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Self

from models.codecs.codec import Codec
from models.codecs.encodec import EncodecCodec
from models.codecs.mbd import MultiBandDiffusion
from models.decoding.cache import KeyValuePool
from models.decoding.runtime import Runtime
from models.errors import InvalidRequest, WeightsError
from models.musicgen.checkpoint import open_checkpoint
from models.musicgen.generate import MusicgenDecoder
from models.musicgen.layers import Packs
from models.musicgen.network import MusicgenNetwork
from models.musicgen.piece import Instruments, Job, Piece
from models.musicgen.plan import Plan, make_plan
from models.musicgen.recall import Recall
from models.musicgen.render import Diffusion
from models.musicgen.stems import StemSeparator
from models.musicgen.text import TextEncoder
from models.request import Audio, AudioGenerationRequest
from models.weights import CheckpointPaths

DIFFUSION_FILE = "mbd_musicgen_32khz.th"  # of facebook/multiband-diffusion
DIFFUSION_RATE = 32_000  # Hz: it was trained on the codes of facebook/encodec_32khz, and there is no other
WHOLE_MIX = (
    "the melody was read off the whole mix, drums and bass included; demucs, which would leave them out, is not there"
)


class MusicgenPipeline:
    """A description, a melody, a beginning → audio, for the engine to run. Immutable but for what it remembers.

    stems: what takes drums and bass out of a melody; None: nothing does, and requests are told. diffusion: loads
    multi-band diffusion when a request first asks for it; None: requests that do are refused.
    """

    def __init__(
        self,
        network: MusicgenNetwork,
        codec: Codec,
        text: TextEncoder,
        pool: KeyValuePool,
        thread_counts: tuple[int, ...] = (),
        *,
        stems: StemSeparator | None = None,
        diffusion: Callable[[], Diffusion] | None = None,
    ) -> None:
        config = network.config
        theirs = (codec.codebooks, codec.codebook_size, codec.sample_rate, codec.channels)
        if (config.codebooks, config.vocabulary, config.sample_rate, config.channels) != theirs:
            raise WeightsError(
                f"{config.name}: the network writes {config.codebooks} codebooks of {config.vocabulary} codes for "
                f"{config.channels} channels at {config.sample_rate} Hz; the codec reads others. They do not belong "
                "together."
            )
        self.name = config.name
        self.config = config
        self.codec = codec
        self.text = text
        self.decoder = MusicgenDecoder(network, pool, thread_counts)
        self.channels = codec.channels
        self.draws_voices = False
        self.sample_rate = codec.sample_rate
        self.frame_rate = codec.frame_rate
        self._stems = stems
        self._melodies: Recall[Audio] = Recall()
        self._instruments = Instruments(config, text, codec, prefixes=Recall())
        self._load_diffusion = diffusion
        self._diffusion: Diffusion | None = None
        self._loading = Lock()

    @classmethod
    def load(
        cls,
        paths: CheckpointPaths,
        runtime: Runtime,
        diffusion_folder: Callable[[], Path] | None = None,
        *,
        separates: bool = False,
    ) -> Self:
        """Network, codec and text encoder of a complete checkpoint, in either format. Raises WeightsError.

        diffusion_folder: says, when it is first wanted, where DIFFUSION_FILE is. separates: where Demucs is installed,
        it takes drums and bass out of melodies.
        """
        device = runtime.device
        with open_checkpoint(paths, runtime.dtype, device) as checkpoint:
            config = checkpoint.config
            network = MusicgenNetwork.load(
                checkpoint.language_model, config, dtype=runtime.dtype, device=device, packs=Packs.of(runtime)
            )
            # Codec and text are float32 whatever the network is, as audiocraft has them.
            codec = EncodecCodec.load(checkpoint.codec, checkpoint.codec_config, device)
            text = TextEncoder.load(checkpoint.text, checkpoint.text_config, checkpoint.text_folder, device=device)

        def load_diffusion() -> Diffusion:
            assert diffusion_folder is not None
            return MultiBandDiffusion.load(diffusion_folder() / DIFFUSION_FILE, codec, device=device)

        can_diffuse = diffusion_folder is not None and config.sample_rate == DIFFUSION_RATE
        return cls(
            network,
            codec,
            text,
            KeyValuePool.within(runtime.cache_budget(), network.cache_shape, device),
            runtime.thread_counts,
            stems=StemSeparator.load(device) if separates and config.melody else None,
            diffusion=load_diffusion if can_diffuse else None,
        )

    def prepare(self, request: AudioGenerationRequest) -> Plan:
        """Everything that can be refused, before any model work: model, text, sampling, duration, recordings.

        Of what is not refused, the melody is separated here, in the caller's thread: others play on meanwhile.
        """
        if request.model != self.name:
            raise InvalidRequest("model", f"is {request.model!r}; {self.name!r} is loaded here.")
        plan = make_plan(request, self.config, diffusion=self._load_diffusion is not None)
        self.text.tokens(plan.text)
        if request.music.multi_band_diffusion:
            self._ensure_diffusion()
        return plan if plan.melody is None else self._with_melody(plan, plan.melody)

    def speak(self, plan: Plan) -> Job:
        """The job of a plan; see models/musicgen/piece.py."""
        diffusion = self._diffusion if plan.request.music.multi_band_diffusion else None
        return Piece(plan, self._instruments, diffusion).make()

    def _with_melody(self, plan: Plan, recording: Audio) -> Plan:
        """The plan with what of the recording is melody, as far as its windows hear it."""
        if self._stems is None:
            return replace(plan, notes=(*plan.notes, WHOLE_MIX))
        heard = recording[:, : (plan.windows[-1].start + self.config.max_frames) * self.codec.hop_length]
        melody = self._melodies.get(heard)
        if melody is None:
            melody = self._stems.melody(heard, self.sample_rate)
            self._melodies.put(heard, melody)
        return replace(plan, melody=melody)

    def _ensure_diffusion(self) -> None:
        with self._loading:
            if self._diffusion is None:
                assert self._load_diffusion is not None
                self._diffusion = self._load_diffusion()
