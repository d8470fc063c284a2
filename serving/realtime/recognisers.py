"""Which recogniser a session's transcription asks for, and in which language: told before anything is transcribed.

Raises ValueError, whose words go on from the name of what is wrong.
"""

import os

from models.errors import printable
from models.listening.transcribe import is_installed
from models.listening.whisper import LANGUAGES, default_whisper, whisper_names

_LONGEST_SHOWN = 64  # characters of a client's own words


def recogniser_named(name: str | None) -> str:
    """Ours of this name; for a model of OpenAI's, or none, the one that PARLEY_TRANSCRIBER chooses."""
    if name is None or name == "whisper-1" or name.startswith("gpt-"):
        return default_whisper(os.environ)
    if name not in whisper_names():
        listed = ", ".join(f"'{one}'" for one in ("whisper-1", *whisper_names()))
        raise ValueError(f"no recogniser is called '{printable(name, _LONGEST_SHOWN)}'; there are {listed}.")
    if not is_installed(name):
        raise ValueError(f"'{name}' is not on this server, where {default_whisper(os.environ)} is.")
    return name


def language_code(language: str) -> str | None:
    """As ISO 639-1, without a region: "en" of "EN" and "en-US"; None of "", which clears."""
    code = language.replace("_", "-").partition("-")[0].lower()
    if code and code not in LANGUAGES:
        raise ValueError(
            f"expected one of {len(LANGUAGES)} codes of ISO 639-1, such as 'en', 'de' or 'zh', but got "
            f"'{printable(language, _LONGEST_SHOWN)}' instead."
        )
    return code or None
