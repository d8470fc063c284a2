"""Files that torch.save wrote: numbers, strings and tensors are read, and nothing is run. Knows no name in them.

Such a file is a Python pickle. Under weights_only=True torch reads it with an unpickler of its own, which builds
nothing but plain containers and tensors and refuses every other name; models/ opens pickles in no other way.
"""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from models.errors import WeightsError


def read_torch_file(path: Path) -> dict[str, Any]:
    """The dict that the file holds; tensors are on the CPU, and memory-mapped where the file's format allows it.

    Raises WeightsError for a file that cannot be read, holds more than plain data, or is no dict.
    """
    try:
        # Only the newer of torch's two formats, a zip archive, can be memory-mapped.
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        first = str(error).splitlines()[0]
        raise WeightsError(
            f"{path} is refused: it holds more than tensors and plain values, and to open it could run any program "
            f"({first}). Export it again as audiocraft/utils/export.py does."
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read ({error}). Delete it and fetch it again.") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path} holds a {type(content).__name__}, not a checkpoint.")
    return content
