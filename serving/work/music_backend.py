"""How a prediction of music or sound becomes a file: its checkpoint's engine, then the master. Knows no database."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.audio.encode import CONTENT_TYPES
from models.audio.master import MasterOptions, master
from models.audio.normalise import notes_on_level
from models.audio.pcm import pcm16_bytes
from models.audio.write import write_audio
from models.engine import Engine
from models.engine_pool import EnginePool
from models.inputs import Inputs, MusicInputs, SoundInputs, notes_on
from models.request import Audio, AudioChunk, Generated
from serving.work.backend import Listener, MadeFile

PIECE_SECONDS = 1  # of what a listener is given at once


class MusicBackend:
    """One for all music models: which checkpoint is asked for stands in the inputs. It is loaded when it is.

    find: says which checkpoint is to play when one is asked for, and sees to it that its files are here; what it cannot
    find takes no other out of memory.
    """

    def __init__(self, pool: EnginePool, find: Callable[[str], str] = str) -> None:
        self._pool = pool
        self._find = find
        self._engines: dict[str, Engine] = {}  # by the attempts that they are at

    def cancel(self, attempt_id: str) -> None:
        """One whose checkpoint is being loaded stops at its first step: it tells the listener then."""
        if engine := self._engines.get(attempt_id):
            engine.cancel(attempt_id)

    def make(self, attempt_id: str, inputs: Inputs, folder: Path, streaming: bool, listener: Listener) -> MadeFile:
        """Level and loop are of the whole, so a listener hears all of it at its end."""
        assert isinstance(inputs, MusicInputs | SoundInputs), inputs
        with self._pool.using(self._find(inputs.model_name)) as engine:
            self._engines[attempt_id] = engine
            try:
                generated, model = _generate(engine, attempt_id, inputs, listener), engine.pipeline.name
            finally:
                del self._engines[attempt_id]
        path = folder / f"output.{inputs.output_format}"
        audio = master(generated.audio, generated.sample_rate, _master_options(inputs))
        for note in notes_on_level(audio, inputs.normalization_strategy):
            listener.log(f"note: {note}")
        write_audio(path, [audio], generated.sample_rate, inputs.output_format)
        _tell(listener, audio, generated.sample_rate)
        name = f"{'sound' if isinstance(inputs, SoundInputs) else 'music'}.{inputs.output_format}"
        return MadeFile(path, name, CONTENT_TYPES[inputs.output_format], _metrics(model, generated, audio))


def _generate(engine: Engine, attempt_id: str, inputs: MusicInputs | SoundInputs, listener: Listener) -> Generated:
    request = inputs.to_request(attempt_id, engine.pipeline.name)
    frame_rate = engine.pipeline.frame_rate
    listener.log(f"seed: {request.sampling_params.seed}")
    for note in notes_on(inputs, engine.pipeline.name):
        listener.log(f"note: {note}")

    def hear(chunk: AudioChunk) -> None:
        for note in chunk.notes:
            listener.log(f"note: {note}")
        listener.progress(chunk.progress, chunk.steps_executed / frame_rate)

    return engine.generate(request, hear)


def _master_options(inputs: MusicInputs | SoundInputs) -> MasterOptions:
    loop_seconds = float(inputs.duration) if inputs.loop else None
    return MasterOptions(inputs.normalization_strategy, inputs.output_format, loop_seconds)


def _tell(listener: Listener, audio: Audio, sample_rate: int) -> None:
    mono = audio.mean(axis=0, keepdims=True)
    size = PIECE_SECONDS * sample_rate
    for start in range(0, mono.shape[1], size):
        listener.audio(pcm16_bytes(mono[:, start : start + size]), sample_rate)


def _metrics(model: str, generated: Generated, audio: Audio) -> dict[str, Any]:
    """Named as those of the container's predictions."""
    return {
        "tokens": generated.steps_executed,
        "audio_seconds": round(audio.shape[1] / generated.sample_rate, 3),
        "sample_rate": generated.sample_rate,
        "seed": generated.seed,
        "time_to_first_audio": round(generated.first_audio_seconds, 3),
        "times_real_time": round(generated.audio_seconds / generated.total_seconds, 3),
        "end": str(generated.status),
        "model": model,
    }
