"""python -m training STEP: see training/README.md."""

import argparse
import json
import logging
from pathlib import Path

RUN = Path("runs/voice")
BUILTIN = Path("weights/dia-builtin")
SENTENCES = 40000
PRONUNCIATIONS = 120000


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training", description="Make the built-in checkpoint.")
    parser.add_argument("--run", type=Path, default=RUN, help="folder of everything made (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    steps = parser.add_subparsers(dest="step", required=True)
    steps.add_parser("sentences", help="draw the sentences")
    corpus = steps.add_parser("corpus", help="let a teacher read them")
    corpus.add_argument("voice", choices=("S1", "S2"))
    corpus.add_argument("--hours", type=float, default=8.0)
    steps.add_parser("encode", help="turn what they read into codes")
    vocoder = steps.add_parser("vocoder", help="train what turns codes into sound")
    _training_options(vocoder, steps=2500)
    vocoder.add_argument("--judged-from", type=int, default=1400, help="steps before the discriminators join")
    _training_options(steps.add_parser("encoder", help="train what turns sound into codes"), steps=800)
    steps.add_parser("pronunciations", help="write down how words are read")
    pretrain = steps.add_parser("pretrain", help="teach the text encoder to read")
    pretrain.add_argument("--minutes", type=float, default=15)
    pretrain.add_argument("--threads", type=int, default=2)
    language = steps.add_parser("language", help="train the language model")
    language.add_argument("--minutes", type=float, default=100, help="of training in all (default: %(default)s)")
    language.add_argument("--threads", type=int, default=2)
    language.add_argument("--cooldown-from", type=Path, help="end the run from this checkpoint within --minutes")
    export = steps.add_parser("export", help="write the checkpoint in the published formats")
    export.add_argument("--to", type=Path, default=BUILTIN, help="default: %(default)s")
    export.add_argument("--scales", type=float, nargs="+", help="of the logits of each codebook")
    trip = steps.add_parser("round-trip", help="write what the codec makes of a teacher's readings")
    trip.add_argument("--to", type=Path, default=RUN / "round-trip")
    trip.add_argument("--codec", type=Path, default=BUILTIN / "codec")
    trip.add_argument("--count", type=int, default=20, help="readings of each voice (default: %(default)s)")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    globals()[f"_{options.step.replace('-', '_')}"](options)


def _training_options(step: argparse.ArgumentParser, steps: int) -> None:
    step.add_argument("--steps", type=int, default=steps, help="of training in all (default: %(default)s)")
    step.add_argument("--shards", type=int, default=60, help="of each voice to train on (default: %(default)s)")
    step.add_argument("--threads", type=int, default=1)


def _sentences(options: argparse.Namespace) -> None:
    from training.sentences import write_sentences

    write_sentences(options.run / "sentences.json", SENTENCES, options.seed)


def _corpus(options: argparse.Namespace) -> None:
    from training.corpus import generate
    from training.teachers import VOICES

    sentences = json.loads((options.run / "sentences.json").read_text())
    half = len(sentences) * 3 // 5  # [S1] is cheap to read and gets more
    part = sentences[:half] if options.voice == "S1" else sentences[half:]
    generate(options.run / "corpus", options.voice, VOICES[options.voice], part, options.hours)


def _encode(options: argparse.Namespace) -> None:
    from training.coding import encode_corpus

    encode_corpus(options.run, options.seed)


def _vocoder(options: argparse.Namespace) -> None:
    import torch

    from training.codec.train_vocoder import VocoderRecipe, train

    torch.set_num_threads(options.threads)
    recipe = VocoderRecipe(seed=options.seed)
    train(options.run, options.steps, options.judged_from, options.shards, recipe)


def _encoder(options: argparse.Namespace) -> None:
    import torch

    from training.codec.train_encoder import train

    torch.set_num_threads(options.threads)
    train(options.run, options.steps, options.shards, options.seed)


def _pronunciations(options: argparse.Namespace) -> None:
    from training.pronunciations import write_pronunciations

    write_pronunciations(options.run, PRONUNCIATIONS, options.seed + 100)


def _pretrain(options: argparse.Namespace) -> None:
    from training.language.pretrain import pretrain
    from training.language.recipe import Recipe

    pretrain(options.run, Recipe(seed=options.seed), options.minutes, options.threads)


def _language(options: argparse.Namespace) -> None:
    from training.language.recipe import Recipe
    from training.language.train import train

    train(
        options.run,
        Recipe(seed=options.seed),
        minutes=options.minutes,
        threads=options.threads,
        cooldown_from=options.cooldown_from,
        encoder_from=options.run / "language" / "encoder.ckpt",
    )


def _export(options: argparse.Namespace) -> None:
    from training.export import SCALES, export

    export(options.run, options.to, options.scales or SCALES)


def _round_trip(options: argparse.Namespace) -> None:
    from training.round_trip import write_round_trips

    write_round_trips(options.run, options.codec, options.to, options.count)


if __name__ == "__main__":
    main()
