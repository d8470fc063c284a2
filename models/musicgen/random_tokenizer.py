"""A tokenizer of Parley's own for checkpoints that are made here: one token a byte of UTF-8, as tokenizer.json.

The special tokens stand where T5 has them. Knows no model.
"""

from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.processors import TemplateProcessing

PAD, END, UNKNOWN = "<pad>", "</s>", "<unk>"
SPECIAL = (PAD, END, UNKNOWN)  # their ids are 0, 1 and 2, as in T5
VOCABULARY = len(SPECIAL) + 256


def tokenizer_json() -> str:
    """The file of a tokenizer that knows every text: bytes without a single merge, and </s> at the end."""
    symbols = sorted(ByteLevel.alphabet())  # one printable character for each of the 256 bytes
    vocabulary = {token: index for index, token in enumerate((*SPECIAL, *symbols))}
    tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=[], unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = ByteLevelDecoder()
    tokenizer.post_processor = TemplateProcessing(single=f"$A {END}", special_tokens=[(END, vocabulary[END])])
    tokenizer.add_special_tokens(list(SPECIAL))
    return str(tokenizer.to_str(pretty=True))
