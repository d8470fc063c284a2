"""Files of torch.save: plain data is read, whatever the format; anything that could run is refused."""

import os
import pickle
from pathlib import Path

import pytest
import torch

from models.errors import WeightsError
from models.musicgen.torch_file import read_torch_file


class _Runs:
    """A pickle of it calls a function when it is opened."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("zipped", [True, False])
def test_both_of_torchs_formats_are_read(zipped, tmp_path):
    """The older one cannot be memory-mapped."""
    content = {"best_state": {"a": torch.arange(6.0).half()}, "xp.cfg": "dim: 2\n", "exported": True}
    torch.save(content, tmp_path / "state_dict.bin", _use_new_zipfile_serialization=zipped)
    read = read_torch_file(tmp_path / "state_dict.bin")
    assert torch.equal(read["best_state"]["a"], content["best_state"]["a"])
    assert {key: read[key] for key in ("xp.cfg", "exported")} == {"xp.cfg": "dim: 2\n", "exported": True}


@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_a_file_that_would_run_something_is_refused_and_does_not(how, tmp_path):
    mark, path = tmp_path / "ran", tmp_path / "state_dict.bin"
    if how == "torch":
        torch.save({"best_state": _Runs(mark)}, path)
    else:
        path.write_bytes(pickle.dumps({"best_state": _Runs(mark)}, protocol=2))
    with pytest.raises(WeightsError, match=r"state_dict\.bin is refused: it holds more than tensors"):
        read_torch_file(path)
    assert not mark.exists()


def test_a_file_that_is_missing_or_cut_is_told(tmp_path):
    path = tmp_path / "state_dict.bin"
    with pytest.raises(WeightsError, match=r"state_dict\.bin cannot be read"):
        read_torch_file(path)
    torch.save({"a": torch.zeros(100)}, path)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(WeightsError, match=r"state_dict\.bin (cannot be read|is refused)"):
        read_torch_file(path)


def test_a_file_that_holds_no_dict_is_told(tmp_path):
    torch.save([torch.zeros(1)], tmp_path / "state_dict.bin")
    with pytest.raises(WeightsError, match="holds a list, not a checkpoint"):
        read_torch_file(tmp_path / "state_dict.bin")
