"""A predictor of a few lines, for tests of what stands around a predictor."""

from pathlib import Path

TOY = """
import os
import sys
import tempfile
import time
from typing import Optional

from cog import BasePredictor, Input, Path, Secret, current_scope


class Predictor(BasePredictor):
    def setup(self) -> None:
        print("setup speaks")
        if os.environ.get("TOY_SETUP") == "fails":
            raise RuntimeError("weights missing: toy.safetensors")
        if os.environ.get("TOY_SETUP") == "refuses":
            raise type("InvalidRequest", (ValueError,), {})("TOY_SETUP: is refuses.")

    def predict(
        self,
        text: str = Input(description="say, sleep, fail, crash or nothing", min_length=1),
        seconds: float = Input(default=0, ge=0, le=60),
        audio: Optional[Path] = Input(default=None),
        seed: Optional[int] = Input(default=None, ge=0, le=4294967295),
        loud: bool = False,
        tags: list[str] = Input(default=["a"]),
        output_format: str = Input(default="wav", choices=["wav", "ogg"]),
        key: Optional[Secret] = Input(default=None),
    ) -> Path:
        print(f"begin {text}")
        if text == "sleep":
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                time.sleep(0.01)
        if text == "stuck":
            time.sleep(seconds)
        if text == "fail":
            raise ValueError("text: is 'fail'; say something else.")
        if text == "crash":
            os._exit(3)
        if text == "nothing":
            return None
        current_scope().record_metric("seed", 7 if seed is None else seed)
        path = Path(tempfile.mkdtemp()) / f"o.{output_format}"
        said = audio.read_bytes() if audio else f"{sys.executable}|{path}|{tags}|{loud}".encode()
        path.write_bytes(said)
        return path
"""


def write_toy(folder: Path) -> Path:
    """Put the toy predictor into `folder`."""
    (folder / "predict.py").write_text(TOY)
    return folder
