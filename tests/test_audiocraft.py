"""The yardstick itself: audiocraft imports without its dependencies, runs, and leaves no trace of what stood in."""

import sys

import pytest
import torch
from audiocraft_fixtures import ABSENT, audiocraft

MODULES = ("models.lm", "models.encodec", "models.musicgen", "models.audiogen", "models.builders", "models.unet")
MODULES += ("models.multibanddiffusion", "modules.conditioners", "modules.diffusion_schedule", "data.audio_utils")


@pytest.mark.parametrize("module", MODULES)
def test_a_module_of_audiocraft_imports(module):
    assert audiocraft(module).__name__ == f"audiocraft.{module}"


def test_nothing_that_stood_in_stays():
    audiocraft("models.lm")
    strangers = [name for name in ABSENT if type(sys.modules.get(name)).__name__ == "_Empty"]
    assert strangers == []


def test_its_attention_runs():
    """The one place where a stand-in is called."""
    layer = audiocraft("modules.transformer").StreamingMultiheadAttention(8, 2, causal=True, custom=True).eval()
    x = torch.randn(1, 3, 8)
    out, _ = layer(x, x, x)
    assert out.shape == x.shape
    assert out.isfinite().all()
