"""The doors of both Cog containers: a dialogue in, one audio file out; and music or a sound, with what is to be known.

Cog reads this file as text to make the public schemas, so everything inside Input() is a literal; it repeats
models/inputs, and tests compare the two.
"""

import os
import secrets
from pathlib import Path as LocalPath
from typing import Optional  # Cog's static parser wants Optional for every input that may be left out

from cog import BasePredictor, Input, Path, Secret

from models.audio.ffmpeg_process import require_ffmpeg
from models.audio.finish import FinishOptions, finish_to_file
from models.audio.silence import warm_up
from models.engine import Engine, Pipeline
from models.inputs import DialogueInputs, MusicInputs
from models.registry import find_music, load_dialogue, load_music
from prediction.folders import PredictionFolders
from prediction.music import MusicMaker
from prediction.progress import ProgressBar
from prediction.report import report, tell


class Predictor(BasePredictor):
    """Speaks dialogues with Dia."""

    def setup(self) -> None:
        """Load the model once, before the first request."""
        require_ffmpeg()
        warm_up()
        self.folders = PredictionFolders()
        pipeline, note = load_dialogue(os.environ, progress=print)
        print(note)
        self.engine = Engine(pipeline)

    def predict(
        self,
        text: str = Input(
            description="Dialogue to speak: turns start with [S1] or [S2]; cues such as (laughs) stand in parentheses.",
            min_length=1,
        ),
        audio_prompt: Optional[Path] = Input(
            description="Recording of the voice to clone: wav, mp3, flac, ogg, opus or m4a.",
            default=None,
        ),
        audio_prompt_text: Optional[str] = Input(
            description="What the recording says, word for word, tagged as the text is; it is transcribed if left out.",
            default=None,
        ),
        max_new_tokens: int = Input(
            description="Longest new audio, in tokens of 1/86 second; the prompt is not counted.",
            default=3072,
            ge=500,
            le=4096,
        ),
        max_audio_prompt_seconds: int = Input(
            description="Longer recordings are cut to this many seconds, at a pause if there is one.",
            default=10,
            ge=1,
            le=120,
        ),
        cfg_scale: float = Input(
            description="Guidance: higher values keep closer to the text.", default=3.0, ge=1, le=5
        ),
        temperature: float = Input(
            description="Randomness of the choice; 0 always takes the likeliest token.", default=1.3, ge=0, le=2
        ),
        top_p: float = Input(
            description="Only the likeliest tokens that together reach this probability are drawn.",
            default=0.95,
            ge=0.1,
            le=1,
        ),
        cfg_filter_top_k: int = Input(
            description="Only this many tokens, the best after guidance, are drawn from.", default=35, ge=10, le=100
        ),
        speed_factor: float = Input(
            description="Speaking rate: below 1 is slower, above 1 faster; pitch is kept.", default=0.94, ge=0.5, le=1.5
        ),
        seed: Optional[int] = Input(
            description="The same seed gives the same audio; without one a random seed is used and reported.",
            default=None,
            ge=0,
            le=4294967295,
        ),
        output_format: str = Input(
            description="Container of the file that is returned.",
            default="wav",
            choices=["wav", "mp3", "flac", "ogg", "opus"],
        ),
    ) -> Path:
        """Speak the text. A mistake in an input is answered before any model work."""
        given = {name: value for name, value in locals().items() if name in DialogueInputs.model_fields}
        try:
            return Path(self._speak(DialogueInputs.parse(**given)))
        except Exception as error:
            tell(error)
            raise

    def _speak(self, inputs: DialogueInputs) -> LocalPath:
        request = inputs.to_request(secrets.token_hex(8), self.engine.pipeline.name)
        options = FinishOptions(speed_factor=inputs.speed_factor, output_format=inputs.output_format)
        print(f"seed: {request.sampling_params.seed}")
        with ProgressBar(self.engine.pipeline.frame_rate) as bar:
            generated = self.engine.generate(request, bar.show)
        path = self.folders.fresh() / f"dialogue-{request.request_id}.{inputs.output_format}"
        seconds = finish_to_file([generated.audio], path, generated.sample_rate, options)
        report([generated], seconds)
        return path


class MusicPredictor(BasePredictor):
    """Makes music with MusicGen, and sounds with AudioGen."""

    def setup(self) -> None:
        """Load the model of a request that names none, before the first request; the others when they are asked for."""
        require_ffmpeg()
        self.maker = MusicMaker(_load_music, _find_music)
        self.maker.warm_up()

    def predict(
        self,
        prompt: Optional[str] = Input(
            description="What to make, in words: genre, instruments, mood. Without it, input_audio alone guides.",
            default=None,
        ),
        input_audio: Optional[Path] = Input(
            description="Audio to go on from if continuation is true; else the melody to follow.",
            default=None,
        ),
        duration: int = Input(
            description="Seconds of audio in all, the part of input_audio that is continued included.",
            default=8,
            ge=1,
            le=300,
        ),
        continuation: bool = Input(
            description="Go on from input_audio, which the output begins with; if false, follow its melody.",
            default=False,
        ),
        continuation_start: int = Input(
            description="Second of input_audio at which the part that is used starts.",
            default=0,
            ge=0,
            le=600,
        ),
        continuation_end: Optional[int] = Input(
            description="Second of input_audio at which the part that is used ends; -1 or none is its end.",
            default=None,
            ge=-1,
            le=600,
        ),
        multi_band_diffusion: bool = Input(
            description="Decode by multi-band diffusion: slower, with fewer artefacts. Not for audiogen-medium.",
            default=False,
        ),
        normalization_strategy: str = Input(
            description="Level: loudness -14 LUFS, peak -1 dB, rms -18 dB; clip only cuts what passes -1 dB.",
            default="loudness",
            choices=["loudness", "clip", "peak", "rms"],
        ),
        top_k: int = Input(
            description="Draw from this many of the likeliest codes; 0 is all. Unused where top_p is above 0.",
            default=250,
            ge=0,
            le=2048,
        ),
        top_p: float = Input(
            description="Draw from the likeliest codes that together reach this probability; 0 leaves it to top_k.",
            default=0.0,
            ge=0,
            le=1,
        ),
        temperature: float = Input(
            description="Randomness of the choice; 0 always takes the likeliest code.",
            default=1.0,
            ge=0,
            le=100,
        ),
        classifier_free_guidance: int = Input(
            description="Guidance: higher values keep closer to the prompt; 1 adds none, 0 passes over it.",
            default=3,
            ge=-100,
            le=100,
        ),
        output_format: str = Input(
            description="Container of the file that is returned.",
            default="mp3",
            choices=["mp3", "wav", "flac", "ogg"],
        ),
        seed: Optional[int] = Input(
            description="The same seed gives the same audio; none or -1 is a random one, which is reported.",
            default=None,
            ge=-1,
            le=4294967295,
        ),
        song_id: Optional[int] = Input(
            description="Store the result in Google Cloud Storage under this number; needs key.",
            default=None,
            ge=0,
            le=9007199254740991,
        ),
        key: Optional[Secret] = Input(
            description="The secret that allows storing; it must be the one that this deployment was given.",
            default=None,
        ),
        model_version: str = Input(
            description="Checkpoint that plays; a melody needs one with melody in its name.",
            default="melody",
            choices=[
                "small",
                "medium",
                "large",
                "melody",
                "melody-large",
                "stereo-small",
                "stereo-medium",
                "stereo-large",
                "stereo-melody",
                "stereo-melody-large",
                "audiogen-medium",
            ],
        ),
        loop: bool = Input(
            description="Join the end to the beginning without a seam, so that the file can be repeated.",
            default=False,
        ),
        count: int = Input(
            description="Variations to make at once; each has the seed of the one before plus 1.",
            default=1,
            ge=1,
            le=10,
        ),
        melody_audio: Optional[Path] = Input(
            description="Melody to follow while the music goes on from input_audio; needs continuation.",
            default=None,
        ),
    ) -> dict:
        """Make the music. A mistake in an input, a wrong key among them, is answered before any model work."""
        given = {name: value for name, value in locals().items() if name in MusicInputs.model_fields}
        try:
            return self.maker.make(MusicInputs.parse(**given))
        except Exception as error:
            tell(error)
            raise


def _find_music(name: str) -> str:
    return find_music(os.environ, name, progress=print).paths.name


def _load_music(name: str) -> Pipeline:
    pipeline, note = load_music(os.environ, name, progress=print)
    print(note)
    return pipeline
