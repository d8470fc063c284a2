"""Checkpoints: which bytes they are, how they come here, which one to speak with. Opens no tensor, knows no torch.

    python -m models.weights fetch dia

`locate` is cheap and asks nobody; `fetch` asks the hub for what is missing; `verify` hashes everything; `choose` is
what a process calls at its start. The pins are in weights/manifest.json.
"""

from models.weights.choice import NAMES, Choice, choose, obtain, offline_switch
from models.weights.disk import WEIGHTS_DIR, CheckpointPaths, locate, verify, weights_dir
from models.weights.download import fetch
from models.weights.manifest import Manifest, load_manifest
from models.weights.music_choice import DIFFUSION, MUSIC_NAMES, choose_music, is_out_of_reach
from models.weights.progress import Progress, silent
from models.weights.refuse import refuse_folder, refuse_old, refuse_pickle

__all__ = [
    "DIFFUSION",
    "MUSIC_NAMES",
    "NAMES",
    "WEIGHTS_DIR",
    "CheckpointPaths",
    "Choice",
    "Manifest",
    "Progress",
    "choose",
    "choose_music",
    "fetch",
    "is_out_of_reach",
    "load_manifest",
    "locate",
    "obtain",
    "offline_switch",
    "refuse_folder",
    "refuse_old",
    "refuse_pickle",
    "silent",
    "verify",
    "weights_dir",
]
