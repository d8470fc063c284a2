"""Where predictions put their files, and when those go. Knows no audio."""

import os
import shutil
import tempfile
from pathlib import Path


class PredictionFolders:
    """One private temporary folder for each prediction. Cog never deletes an output, so each sweeps the one before.

    A prediction starts only after the output of the one before has been read: a container runs one at a time.
    """

    PREFIX = "parley-prediction-"

    def __init__(self) -> None:
        self._last: Path | None = None
        for folder in Path(tempfile.gettempdir()).glob(f"{self.PREFIX}*"):
            if not Path(f"/proc/{folder.name.removeprefix(self.PREFIX).split('-')[0]}").exists():
                shutil.rmtree(folder, ignore_errors=True)  # of a process that is gone

    def fresh(self) -> Path:
        if self._last is not None:
            shutil.rmtree(self._last, ignore_errors=True)
        self._last = Path(tempfile.mkdtemp(prefix=f"{self.PREFIX}{os.getpid()}-"))
        return self._last
