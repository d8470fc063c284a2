"""A tiny recipe and made-up utterances: silence, then a few frames a letter, each of a code that the letter decides."""

import json
from pathlib import Path

import numpy as np

from training.language.recipe import Mixing, Optimiser, Recipe, Size, Weights
from training.language.utterances import Utterance

SIZE = Size(
    encoder_layers=1, encoder_width=32, encoder_ffn=48, encoder_heads=2, encoder_head_dim=16, text_positions=256,
    decoder_layers=2, decoder_width=48, decoder_ffn=64, decoder_heads=3, decoder_kv_heads=1, decoder_head_dim=16,
    cross_heads=3, cross_head_dim=16, rows=512, codes=44, codebooks=3,
)  # fmt: skip
MIXING = Mixing(
    usual_frames=150, most_frames=200, turn_gap=(2, 4), join_gap=(1, 3), pause_gap=(5, 8), utterances_per_chunk=12,
    batch_rows=300, reading_steps=0, reading_letters=300, practice_letters=200, practice_lengths=(20, 100),
)  # fmt: skip
RECIPE = Recipe(
    size=SIZE,
    mixing=MIXING,
    weights=Weights(guide_layers=(0,), phone_layer=0),
    optimiser=Optimiser(warmup_steps=5, muon_rate=1e-2, adam_rate=5e-3, average=0.8),
    bfloat16=False,
    validate_every=4,
    report_every=2,
)
# The unit of a letter is 5 more for the second speaker; what comes out below 0 or too high has no counterpart.
BORROWED = (tuple([-1] * 5 + list(range(39))), tuple([*range(5, 38), *[-1] * 5, 41, *[-1] * 5]))
SILENCE = ((38, 1, 2), (41, 3, 4))  # the two units after belong to the silence too
PHONES = 27
FRAMES_A_LETTER = 3
HEAD = 2  # frames of silence an utterance begins with


def utterance(speaker: int, text: str) -> Utterance:
    letters = np.array([ord(c) - 96 if c.isalpha() else -1 for c in text], np.int16)
    spoken = np.repeat(np.arange(len(text)), FRAMES_A_LETTER)
    char = np.concatenate([np.zeros(HEAD), spoken]).astype(np.float32)
    phone = np.concatenate([np.full(HEAD, -1), letters[spoken]]).astype(np.int16)
    first = np.where(phone > 0, phone + 5 * speaker, SILENCE[speaker][0])
    codes = np.stack([first, (first * 3) % 37, (first * 7) % 37], axis=1).astype(np.uint16)
    return Utterance(speaker, text.encode(), codes, char, phone, letters)


def utterances(count: int = 60, seed: int = 0) -> list[Utterance]:
    random = np.random.default_rng(seed)
    words = ["".join(random.choice(list("abcde"), 3)) for _ in range(30)]
    return [utterance(i % 2, " ".join(random.choice(words, 1 + i % 3)) + ".") for i in range(count)]


def write_run(run: Path, items: list[Utterance]) -> None:
    """The same as the data on disk, two shards a speaker."""
    for speaker, name in enumerate(("S1", "S2")):
        own = [u for u in items if u.speaker == speaker]
        (run / "codes" / name).mkdir(parents=True)
        for shard, part in enumerate((own[: len(own) // 2], own[len(own) // 2 :])):
            arrays = {k: np.concatenate([getattr(u, k) for u in part]) for k in ("codes", "char", "phone", "letters")}
            meta = json.dumps([{"text": u.text.decode(), "frames": u.frames} for u in part])
            np.savez(run / "codes" / name / f"{shard:05d}.npz", meta=meta, **arrays)
    labels = {
        "phones": [str(i) for i in range(PHONES)],
        "silence": {"S1": SILENCE[0], "S2": SILENCE[1]},
        "borrowed": {"S1": BORROWED[0], "S2": BORROWED[1]},
    }
    (run / "codes" / "labels.json").write_text(json.dumps(labels))
