"""THE declaration of what a caller may ask: one frozen class per public schema. Knows no model and no door.

predict.py repeats these as literals because Cog reads it as text; tests/test_contract_*.py compare the two.
"""

from models.inputs.declaration import Inputs, half_characters
from models.inputs.dialogue import LONGEST_TOKENS, DialogueInputs, OutputFormat, SettledInputs
from models.inputs.music import ModelVersion, MusicInputs
from models.inputs.settings import notes_on
from models.inputs.sound import SoundInputs

__all__ = [
    "LONGEST_TOKENS",
    "DialogueInputs",
    "Inputs",
    "ModelVersion",
    "MusicInputs",
    "OutputFormat",
    "SettledInputs",
    "SoundInputs",
    "half_characters",
    "notes_on",
]
