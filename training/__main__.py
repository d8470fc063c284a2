"""python -m training STEP: see training/README.md."""

import argparse
import json
import logging
from dataclasses import asdict
from pathlib import Path

from models.request import SamplingParams
from training.files import lines_of
from training.frames import VOICES

RUN = Path("runs/voice")
BUILTIN = Path("weights/dia-builtin")
DEVELOPMENT = Path("benchmarks/quality/sentences/development.txt")  # the one list that tuning may look at
SENTENCES = 40000
PRONUNCIATIONS = 120000


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training", description="Make the built-in checkpoint.")
    parser.add_argument("--run", type=Path, default=RUN, help="folder of everything made (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    steps = parser.add_subparsers(dest="step", required=True)
    steps.add_parser("sentences", help="draw the sentences")
    corpus = steps.add_parser("corpus", help="let a teacher read them")
    corpus.add_argument("voice", choices=VOICES)
    corpus.add_argument("--hours", type=float, default=8.0)
    recover = steps.add_parser("recover", help="find the codebooks of an exported checkpoint, to go on from it")
    recover.add_argument("--checkpoint", type=Path, default=BUILTIN, help="its folder (default: %(default)s)")
    steps.add_parser("encode", help="turn what they read into codes")
    vocoder = steps.add_parser("vocoder", help="train what turns codes into sound")
    _training_options(vocoder, steps=1000)
    vocoder.add_argument("--judged-from", type=int, default=400, help="steps before the discriminators join")
    encoder = steps.add_parser("encoder", help="train what turns sound into codes")
    _training_options(encoder, steps=1500)
    for half in (vocoder, encoder):
        half.add_argument("--begin-with", type=Path, help="folder of an exported codec; without it: random weights")
    steps.add_parser("pronunciations", help="write down how words are read")
    language = steps.add_parser("language", help="train the language model")
    budget = language.add_mutually_exclusive_group()
    budget.add_argument("--minutes", type=float, default=300, help="of training in all (default: %(default)s)")
    budget.add_argument("--steps", type=int, help="of training in all: the same on a machine that has other work too")
    language.add_argument("--threads", type=int, default=2)
    language.add_argument("--cooldown-from", type=Path, help="end the run from this checkpoint within --minutes")
    language.add_argument("--begin-with", type=Path, help="folder of an exported model; without it: random weights")
    language.add_argument("--rate", type=float, default=0.5, help="to fall from then (default: %(default)s)")
    export = steps.add_parser("export", help="write the checkpoint in the published formats")
    export.add_argument("--to", type=Path, default=BUILTIN, help="default: %(default)s")
    export.add_argument("--scales", type=float, nargs="+", help="of the logits of each codebook")
    check = steps.add_parser("check", help="let the language model speak in codes and count wrong phones")
    _check_options(check)
    trip = steps.add_parser("round-trip", help="write what the codec makes of a teacher's readings")
    trip.add_argument("--to", type=Path, default=RUN / "round-trip")
    trip.add_argument("--codec", type=Path, default=BUILTIN / "codec")
    trip.add_argument("--count", type=int, default=20, help="readings of each voice (default: %(default)s)")
    trip.add_argument("--texts", type=Path, help="one a line, to be read now; the corpus is not asked then")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    globals()[f"_{options.step.replace('-', '_')}"](options)


def _training_options(step: argparse.ArgumentParser, steps: int) -> None:
    step.add_argument("--steps", type=int, default=steps, help="of training in all (default: %(default)s)")
    step.add_argument("--shards", type=int, default=60, help="of each voice to train on (default: %(default)s)")
    step.add_argument("--threads", type=int, default=1)


def _check_options(step: argparse.ArgumentParser) -> None:
    step.add_argument("--model", type=Path, default=BUILTIN / "model", help="default: %(default)s")
    step.add_argument("--lines", type=Path, default=DEVELOPMENT, help="texts, one a line (default: %(default)s)")
    step.add_argument("--limit", type=int, help="of lines, from the first one (default: all)")
    step.add_argument("--temperature", type=float, default=SamplingParams.temperature, help="default: %(default)s")
    step.add_argument("--cfg-scale", type=float, default=SamplingParams.cfg_scale, help="default: %(default)s")
    step.add_argument("--threads", type=int, default=1)


def _sentences(options: argparse.Namespace) -> None:
    from training.sentences import write_sentences

    write_sentences(options.run / "sentences.json", SENTENCES, options.seed)


def _corpus(options: argparse.Namespace) -> None:
    from training.corpus import generate
    from training.teachers import TEACHERS

    sentences = json.loads((options.run / "sentences.json").read_text())
    cut = len(sentences) * 3 // 5  # the first voice is cheap to read and gets more
    part = sentences[:cut] if options.voice == VOICES[0] else sentences[cut:]
    generate(options.run / "corpus", options.voice, TEACHERS[options.voice], part, options.hours)


def _recover(options: argparse.Namespace) -> None:
    from training.language.recipe import Recipe
    from training.recovery import recover

    recover(options.run, options.checkpoint, Recipe(seed=options.seed))


def _encode(options: argparse.Namespace) -> None:
    from training.coding import encode_corpus

    encode_corpus(options.run, options.seed)


def _vocoder(options: argparse.Namespace) -> None:
    import torch

    from training.codec.train_vocoder import VocoderRecipe, train

    torch.set_num_threads(options.threads)
    recipe = VocoderRecipe(seed=options.seed)
    train(options.run, options.steps, options.judged_from, options.shards, recipe, options.begin_with)


def _encoder(options: argparse.Namespace) -> None:
    import torch

    from training.codec.train_encoder import train

    torch.set_num_threads(options.threads)
    train(options.run, options.steps, options.shards, options.seed, options.begin_with)


def _pronunciations(options: argparse.Namespace) -> None:
    from training.pronunciations import write_pronunciations

    write_pronunciations(options.run, PRONUNCIATIONS, options.seed + 100)


def _language(options: argparse.Namespace) -> None:
    from training.language.recipe import Recipe
    from training.language.train import train

    train(
        options.run,
        Recipe(seed=options.seed),
        minutes=options.minutes if options.steps is None else None,
        steps=options.steps,
        threads=options.threads,
        cooldown_from=options.cooldown_from,
        begin_with=options.begin_with,
        rate=options.rate,
    )


def _export(options: argparse.Namespace) -> None:
    from training.export import export
    from training.published import SCALES

    export(options.run, options.to, options.scales or SCALES)


def _check(options: argparse.Namespace) -> None:
    import torch

    from training.check import check, scripts_of

    torch.set_num_threads(options.threads)
    scripts = scripts_of(lines_of(options.lines), options.limit)
    if not scripts:
        raise ValueError(f"{options.lines} holds no text to speak")
    sampling = SamplingParams(temperature=options.temperature, cfg_scale=options.cfg_scale)
    score = check(options.run, options.model, scripts, sampling)
    asked = {"model": str(options.model), "lines": len(scripts)}
    asked |= {"temperature": sampling.temperature, "cfg_scale": sampling.cfg_scale}
    print(json.dumps(asked | asdict(score)))


def _round_trip(options: argparse.Namespace) -> None:
    from training.round_trip import readings_of, readings_of_corpus, write_round_trips

    if options.texts:
        from training.teachers import TEACHERS

        readings = readings_of(lines_of(options.texts), TEACHERS)
    else:
        readings = readings_of_corpus(options.run / "corpus", options.count)
    write_round_trips(options.run, options.codec, options.to, readings)


if __name__ == "__main__":
    main()
