"""Text to byte ids: UTF-8, where a speaker tag is one id. Knows no script rules: text goes in as it stands.

Source: nari-labs/dia, model.py `_encode_text`. Upstream cuts at 1024 bytes without a word, and reads raw control bytes
as tags or padding; here both are refused.
"""

from collections.abc import Sequence

from models.errors import InvalidRequest

TEXT_LIMIT = 1024  # ids the encoder has positions for, the transcript of the voice prompt included
VOCABULARY_SIZE = 256  # one id per byte
PAD = 0  # upstream fills texts up with it and masks it; here no text is filled up
SPEAKER_IDS = {"[S1]": 1, "[S2]": 2}
END = 3  # ASCII's end of text: behind the last letter, for models that were trained with it


def encode(text: str, field: str = "text", *, end_mark: bool = False) -> list[int]:
    """Byte ids of `text`, 1 to TEXT_LIMIT of them. end_mark: whether END follows.

    Raises InvalidRequest for `field` if the text is empty or too long, holds one of the bytes 0, 1 and 2, which the
    model reads as padding and tags, or is no valid Unicode.
    """
    _refuse_control_bytes(text, field)
    try:
        raw = text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(
            field, f"holds half a surrogate pair at position {error.start}, which is no character. Leave it out."
        ) from error
    for tag, speaker_id in SPEAKER_IDS.items():
        raw = raw.replace(tag.encode(), bytes([speaker_id]))
    if not raw:
        raise InvalidRequest(field, "is empty; the model needs at least one byte of text. Write something to speak.")
    raw += bytes([END] * end_mark)
    if len(raw) > TEXT_LIMIT:
        raise InvalidRequest(
            field,
            f"is {len(raw)} bytes long, each speaker tag counted as one; the model reads at most {TEXT_LIMIT}, "
            "transcript of the voice prompt included. Split it at a change of speaker.",
        )
    return list(raw)


def decode(ids: Sequence[int]) -> str:
    """The text of `ids`, for estimates; bytes that are no UTF-8 become U+FFFD. Inverse of encode."""
    text = bytes(ids).decode(errors="replace")
    for tag, speaker_id in SPEAKER_IDS.items():
        text = text.replace(chr(speaker_id), tag)
    return text


def byte_length(text: str) -> int:
    """How many ids encode would give, whatever the limit. The text must be valid Unicode."""
    tags = sum(text.count(tag) * (len(tag) - 1) for tag in SPEAKER_IDS)
    return len(text.encode()) - tags


def check_ids(ids: Sequence[int], field: str = "prompt") -> list[int]:
    """`ids` as a list, if the model can read them: 1 to TEXT_LIMIT of them, each 1–255; else InvalidRequest."""
    if not 1 <= len(ids) <= TEXT_LIMIT:
        raise InvalidRequest(
            field, f"holds {len(ids)} ids; the model reads 1 to {TEXT_LIMIT}. Send text of that many bytes."
        )
    for index, value in enumerate(ids):
        if not PAD < value < VOCABULARY_SIZE:
            raise InvalidRequest(
                field,
                f"holds {value} at index {index}; ids are the bytes 1 to {VOCABULARY_SIZE - 1} of UTF-8 text, "
                "1 for [S1] and 2 for [S2]; 0 would be read as text.",
            )
    return [int(value) for value in ids]


def _refuse_control_bytes(text: str, field: str) -> None:
    for value in (PAD, *SPEAKER_IDS.values()):
        position = text.find(chr(value))
        if position >= 0:
            raise InvalidRequest(
                field,
                f"holds the control byte {value} at position {position}, which the model would read as padding or as "
                "a speaker. Leave it out; write [S1] and [S2] for the speakers.",
            )
