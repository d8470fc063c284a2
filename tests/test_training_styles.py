"""A style is read out of the source distribution, and only if it is the one that was pinned."""

import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from training import styles

NUMBERS = np.arange(3 * styles.WIDTH, dtype=np.float32)
MEMBER = "kokoro-0.9.4/kokoro.js/voices/af_heart.bin"


def packed(folder: Path, name: str = MEMBER) -> Path:
    path = folder / "kokoro-0.9.4.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for member, data in (("kokoro-0.9.4/af_heart.bin", b"another"), (name, NUMBERS.tobytes())):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_a_style_is_a_row_of_numbers_for_each_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(styles, "_download", packed)
    monkeypatch.setitem(styles.SHA256, "af_heart", hashlib.sha256(NUMBERS.tobytes()).hexdigest())
    found = styles.style("af_heart")
    assert found.shape == (3, 1, styles.WIDTH)
    np.testing.assert_array_equal(found.ravel(), NUMBERS)


def test_another_voice_under_the_same_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(styles, "_download", packed)
    with pytest.raises(ValueError, match=r"af_heart of kokoro==0\.9\.4 is not the voice that it was"):
        styles.style("af_heart")


def test_a_source_without_the_voice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(styles, "_download", lambda folder: packed(folder, "kokoro-0.9.4/elsewhere.bin"))
    with pytest.raises(ValueError, match=r"kokoro-0\.9\.4\.tar\.gz holds no kokoro\.js/voices/af_heart\.bin"):
        styles.style("af_heart")
