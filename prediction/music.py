"""Music and sounds, from inputs to finished files: the model, the variations, their level, their place in a bucket.

Knows the models by name only, and no Input() of Cog's.
"""

import hashlib
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path as LocalPath
from typing import Any

from cog import Path

from models.audio.encode import CONTENT_TYPES
from models.audio.master import MasterOptions, master_to_file
from models.audio.normalise import notes_on_level
from models.engine import Pipeline
from models.engine_pool import EnginePool, capacity_from
from models.errors import InvalidRequest, StorageFailed
from models.inputs import MusicInputs, notes_on
from models.request import Generated
from models.songs import SongBucket
from models.variations import generate_together
from prediction.folders import PredictionFolders
from prediction.progress import ProgressBar
from prediction.report import report

Answer = dict[str, Any]


class MusicMaker:
    """Makes music, one request at a time; the models stay in memory as far as PARLEY_MODELS_IN_MEMORY allows.

    load: makes the pipeline of a checkpoint's name. find: says which checkpoint is to play when one is asked for, and
    sees to it that its files are here; what it cannot find takes no other out of memory. Raises InvalidRequest for
    settings that do not hold.
    """

    def __init__(
        self,
        load: Callable[[str], Pipeline],
        find: Callable[[str], str] = str,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._songs = SongBucket.from_environ(environ)
        self._find = find
        self._engines = EnginePool(load, capacity_from(environ))
        self._folders = PredictionFolders()

    def warm_up(self) -> None:
        """Load the model of a request that names none."""
        with self._engines.using(self._find(MusicInputs(prompt="").model_name)):
            pass

    def make(self, inputs: MusicInputs) -> Answer:
        """The first variation with what is to be known of it; further ones as `variations`, a list of the same.

        So the answer is the published object whatever is asked for, and who asks for one variation never meets a list.
        """
        inputs.check_together()
        self._admit(inputs)
        inputs = inputs.with_seed()
        request_id = secrets.token_hex(8)
        made, model = self._generate(inputs, request_id)
        folder = self._folders.fresh()
        answers = [self._finished(inputs, one, folder / f"{model}-{request_id}-{i}") for i, one in enumerate(made, 1)]
        report(made, sum(answer["duration"] for answer in answers))
        answers = [{**answer, "model": model} for answer in answers]
        if inputs.song_id is not None:
            answers = self._stored(inputs, answers, request_id)
        first, *others = answers
        return {**first, "variations": others} if others else first

    def _admit(self, inputs: MusicInputs) -> None:
        """Refuse, before any work, what could not be stored after it. Raises InvalidRequest or StorageFailed."""
        if inputs.song_id is None or inputs.key is None:
            return
        if self._songs is None:
            raise InvalidRequest(
                "song_id", "is given, but this deployment stores nothing: it has no GCS_BUCKET. Leave it out, and key."
            )
        self._songs.admit(inputs.song_id, inputs.key.get_secret_value(), inputs.output_format, inputs.count)

    def _generate(self, inputs: MusicInputs, request_id: str) -> tuple[list[Generated], str]:
        """All variations, and the name of the model that made them."""
        with self._engines.using(self._find(inputs.model_name)) as engine:
            model = engine.pipeline.name
            requests = [inputs.to_request(f"{request_id}-{i}", model, variation=i) for i in range(inputs.count)]
            print(f"seed: {', '.join(str(request.sampling_params.seed) for request in requests)}")
            for note in notes_on(inputs, model):
                print(f"note: {note}")
            with ProgressBar(engine.pipeline.frame_rate, inputs.count) as bar:
                return generate_together(engine, requests, bar.show_one), model

    def _finished(self, inputs: MusicInputs, made: Generated, stem: LocalPath) -> Answer:
        """One variation as a file."""
        options = MasterOptions(
            inputs.normalization_strategy, inputs.output_format, float(inputs.duration) if inputs.loop else None
        )
        path = stem.with_name(f"{stem.name}.{inputs.output_format}")
        mastered = master_to_file(made.audio, path, made.sample_rate, options)
        for note in notes_on_level(mastered, inputs.normalization_strategy):
            print(f"note: {note}")
        duration = mastered.shape[1] / made.sample_rate
        return {"audio": Path(path), "duration": duration, "sample_rate": made.sample_rate, "seed": made.seed}

    def _stored(self, inputs: MusicInputs, answers: list[Answer], request_id: str) -> list[Answer]:
        """Each with the place where it is now, too. Raises StorageFailed, which names those that are stored by then."""
        assert self._songs is not None
        assert inputs.song_id is not None
        prompt_hash = hashlib.sha256((inputs.prompt or "").encode()).hexdigest()
        names = self._songs.names(inputs.song_id, inputs.output_format, inputs.count)
        found: list[Answer] = []
        for answer, name in zip(answers, names, strict=True):
            facts = {"seed": str(answer["seed"]), "model": answer["model"], "prompt_sha256": prompt_hash}
            content_type = CONTENT_TYPES[inputs.output_format]
            try:
                song = self._songs.store(answer["audio"], name, content_type, facts, request_id)
            except StorageFailed as error:
                if not found:
                    raise
                there = ", ".join(one["gcs_uri"] for one in found)
                raise StorageFailed(f"{error}; stored before it, and left there: {there}") from error
            found.append({**answer, "song_id": inputs.song_id, "url": song.url, "gcs_uri": song.gcs_uri})
        return found
