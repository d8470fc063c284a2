"""How door 3 speaks of models: their names there, the settings each takes, and what those are called inside.

Knows no route and no table. Which of these models are served is the catalogue's to say.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from models.errors import printable, shown
from models.inputs.settings import LONGEST_SECONDS
from serving.catalog import AUDIOGEN, DIA, MODELS, MUSICGEN, ServedModel

DEFAULT_MODEL = "audiogen"
FIRST_SPEAKER = "[S1] "

# Whatever the model might read as the name of a speaker, "S1:" at the start of a line among it.
_SPEAKER = re.compile(r"[\[【〔]\s*S(?:peaker)?[\s_#-]*\d|^[ \t]*S(?:peaker)?[ _#-]*\d+[ \t]*:", re.I | re.M)


@dataclass(frozen=True)
class Range:
    """Numbers from low to high, both included."""

    low: float
    high: float = math.inf
    whole: bool = False
    unit: str = ""

    def problem(self, value: Any) -> str | None:
        """What is wrong with a value."""
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and self.low <= value <= self.high and not (self.whole and value % 1):
            return None
        return f"is {shown(value)}; it must be {self}."

    def __str__(self) -> str:
        kind = ("a whole number" if self.whole else "a number") + (f" of {self.unit}" if self.unit else "")
        return f"{kind} of at least {self.low}" if self.high == math.inf else f"{kind} from {self.low} to {self.high}"


@dataclass(frozen=True)
class Setting:
    """One name in configs. Where it has no range, the model's own declaration of the input is the check."""

    input: str  # what the model calls it
    default: float | None = None  # None: the model's own holds
    range: Range | None = None
    per_unit: float | None = None  # how many of the model's units, rounded, make one of the setting's

    def to_input(self, value: Any) -> Any:
        return value if self.per_unit is None else round(value * self.per_unit)

    def from_input(self, value: Any) -> Any:
        return value if self.per_unit is None else round(value / self.per_unit)


@dataclass(frozen=True)
class Dialect:
    """How a name of this door is asked."""

    model: ServedModel
    prompt: str  # the input that the prompt is
    settings: Mapping[str, Setting]
    spoken: Callable[[str], str] = str  # the prompt as the model reads it
    fixed: Mapping[str, Any] = field(default_factory=dict)  # inputs that the name says

    def problems(self, model: str, configs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """(field, what is wrong with it). configs: without model."""
        for name, value in configs.items():
            setting = self.settings.get(name)
            if setting is None:
                taken = ", ".join(["model", *self.settings])
                yield f"configs.{printable(name)}", f"is no setting of {model}, which takes {taken}."
            elif setting.range is not None and (problem := setting.range.problem(value)):
                yield f"configs.{name}", problem

    def inputs(self, prompt: str, configs: Mapping[str, Any]) -> dict[str, Any]:
        """The model's inputs: what was given, and this door's defaults for what was not."""
        defaults = {name: s.default for name, s in self.settings.items() if s.default is not None}
        set_to = [(self.settings[name], value) for name, value in {**defaults, **configs}.items()]
        return {self.prompt: prompt, **{s.input: s.to_input(value) for s, value in set_to}, **self.fixed}

    def configs(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The way back from `inputs`."""
        return {name: s.from_input(inputs[s.input]) for name, s in self.settings.items() if s.input in inputs}

    @property
    def fields(self) -> Mapping[str, str]:
        """The names that the model's inputs, and the model, have in this door."""
        said = dict.fromkeys(("model", *self.fixed), "configs.model")
        return said | {s.input: f"configs.{name}" for name, s in self.settings.items()} | {self.prompt: "prompt"}


def script_of(prompt: str) -> str:
    """A plain text as the first speaker's; one that names speakers as it is."""
    names_speakers = _SPEAKER.search(unicodedata.normalize("NFKC", prompt))
    return prompt if names_speakers else FIRST_SPEAKER + prompt


def _dia() -> Dialect:
    """Its own names but three, its own defaults, its own limits: seconds where it counts tokens."""
    own = _own(DIA, "text", "max_new_tokens", "cfg_filter_top_k")
    a_second = DIA.tokens_per_second
    low, high = math.ceil(DIA.fewest_tokens / a_second), math.floor(DIA.most_tokens / a_second)
    duration = Setting("max_new_tokens", range=Range(low, high, whole=True, unit="seconds"), per_unit=a_second)
    return Dialect(DIA, "text", {"duration": duration, "top_k": Setting("cfg_filter_top_k"), **own}, script_of)


# The defaults and limits of the API that this door follows. As AudioCraft samples, a top_p above 0 makes it leave
# top_k aside: by default top_k 15 says nothing.
SOUND_SETTINGS = {
    "duration": Setting("duration", 5, Range(1, LONGEST_SECONDS, whole=True, unit="seconds")),
    "top_k": Setting("top_k", 15, Range(1, 1000, whole=True)),
    "top_p": Setting("top_p", 0.9, Range(0, 1)),
}


def _sound(model: ServedModel, **fixed: str) -> Dialect:
    """Those, and the model's other inputs by their own names."""
    return Dialect(model, "prompt", SOUND_SETTINGS | _own(model, "prompt", *SOUND_SETTINGS, *fixed), fixed=fixed)


def _own(model: ServedModel, *besides: str) -> dict[str, Setting]:
    return {name: Setting(name) for name in model.input_names if name not in besides}


_MUSIC = ("small", "medium", "large", "melody", "melody-large")
_MUSIC_VERSIONS = (*_MUSIC, *(f"stereo-{size}" for size in _MUSIC))
DIALECTS: Mapping[str, Dialect] = {
    "audiogen": _sound(AUDIOGEN),
    **{f"musicgen-{version}": _sound(MUSICGEN, model_version=version) for version in _MUSIC_VERSIONS},
    "dia": _dia(),
}


def name_of(model: str, inputs: Mapping[str, Any]) -> str:
    """What this door calls the model that has this full name and was asked for this.

    Once its inputs are deleted nothing says which checkpoint that was: then it is the model's own name, "musicgen".
    """
    named = (name for name, d in DIALECTS.items() if d.model.full_name == model and d.fixed.items() <= inputs.items())
    return next(named, MODELS[model].name)


def dialect_of(model: str) -> Dialect:
    """How the model that has this full name is asked, but for what a name fixes: its names have all else in common."""
    return next(dialect for dialect in DIALECTS.values() if dialect.model.full_name == model)
