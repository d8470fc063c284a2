"""The Cog container's door: a dialogue in, one audio file out.

Cog reads this file as text to make the public schema, so everything inside Input() is a literal; it repeats
models/inputs, and a test compares the two.
"""

import os
import secrets
from pathlib import Path as LocalPath
from typing import Optional  # Cog's static parser wants Optional for every input that may be left out

from cog import BasePredictor, Input, Path

from models.audio.ffmpeg_process import require_ffmpeg
from models.audio.finish import FinishOptions, finish_to_file
from models.audio.silence import warm_up
from models.engine import Engine
from models.inputs import DialogueInputs
from models.registry import load_dialogue
from prediction.folders import PredictionFolders
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
