"""Writes tests/golden/encodec.safetensors: a tiny EnCodec's weights, and what audiocraft's own classes make with them.

`PYTHONPATH=.:tests python tests/encodec_golden.py`, where requirements-audiocraft.txt is installed. The file in git was
made with tts-webui-audiocraft 1.4.0a2 and torch 2.13.0 on a CPU.
"""

import torch
from audiocraft_fixtures import audiocraft
from encodec_audiocraft_fixtures import SAME_WEIGHTS, sound
from safetensors.torch import save
from test_codecs_encodec_audiocraft import GOLDEN, theirs
from torch import Tensor

SAMPLES = 101  # 17 frames of 6 samples, the last one not full


def golden() -> dict[str, Tensor]:
    """The weights, the audio of either number of channels, and for each variant its codes and what they sound like."""
    tensors = {f"state.{name}": tensor for name, tensor in theirs(SAME_WEIGHTS[0]).state_dict().items()}
    for channels in (1, 2):
        tensors[f"audio.{channels}"] = sound(SAMPLES, channels)
        for name in SAME_WEIGHTS:
            model = theirs(name)
            if channels == 2:
                model = audiocraft("models.encodec").InterleaveStereoCompressionModel(model)
            codes = model.encode(tensors[f"audio.{channels}"][None])[0]
            tensors[f"{name}.codes.{channels}"] = codes[0].to(torch.uint8)
            tensors[f"{name}.audio.{channels}"] = model.decode(codes)[0]
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


if __name__ == "__main__":
    GOLDEN.write_bytes(save(golden(), metadata={"made by": "tests/encodec_golden.py"}))
