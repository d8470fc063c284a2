"""Words in capitals, single letters and mixed case → lower-case words a small model can read.

"BBC" is spelled in names of letters, "NASA" and "STOP" are words. Which is which is guessed from a list of acronyms
and from English syllables. Knows no numbers and no punctuation but the end of a sentence.
"""

import re

from models.dia.rules import listed

LETTERS = dict(
    zip(
        "abcdefghijklmnopqrstuvwxyz",
        (
            *("eigh", "bee", "see", "dee", "ee", "ef", "jee", "aitch", "eye", "jay", "kay", "ell", "em", "en", "oh"),
            *("pee", "cue", "are", "ess", "tee", "you", "vee", "double you", "ex", "why", "zee"),
        ),
        strict=True,
    )
)
# Spelled although an English mouth could say them.
SPELLED = listed(
    "ABC ACLU ADHD AKA AOL API APR ASAP ATM AWS CEO CFO CGI CIA CIO COO CTO DEA DIY DOA DUI EPA ESL ESPN ETA FAQ FAA "
    "FDA FYI GED HIV IBM ICU IDE IMDB IOU IPA IPO IQ IRA IRS ISO ISP LED MIA MIT MRI NBA NGO NRA NSA OCD OMG RSVP SUV "
    "TBA UAE UCLA UFC UFO UPS URL USA USB USC USSR VIP YMCA"
)
# Of these, the ones that mean nothing else in lower case; what has no vowel is spelled anyway.
SPELLED_IN_LOWER_CASE = listed(
    "adhd ai aka api asap asmr atm ceo cfo cia cto diy espn eta eu faq fbi fyi gpa hbo hiv ibm imf irs mba nsa omg suv "
    "uae ufo ui uk url usa usb ux vip"
)
# Capitals that are a word when a whole sentence is shouted, or unless the words around them say otherwise.
COUNTRY = "US"
AFTER_IT = listed(
    "department departments team support guy guys manager industry company staff people desk system systems "
    "services service professional specialist consultant director job worker sector security"
)
SHORT_WORDS = listed(
    "ah am an as at aw ax be by do eh go ha he hi ho if in is it lo me my no of oh on or ow ox so to uh um "
    "up us we ye yo"
)
# After one of these a capital letter is the letter, also A and I.
BEFORE_A_LETTER = listed(
    "plan option grade vitamin type team hepatitis group section letter class side level exhibit answer appendix "
    "series model point column row block building terminal gate company schedule category the an"
)
FIXED = {
    "ok": "okay",
    "oks": "okays",
    "phd": "pee aitch dee",
    "phds": "pee aitch dees",
    "jpeg": "jay peg",
    "jpg": "jay peg",
    "oled": "oh led",
    "macbook": "mac book",
    "macbooks": "mac books",
    "wifi": "why fye",
    "tv": "tee vee",
    "nth": "enth",
    "lol": "lol",
}
SOUNDS = re.compile(r"(?:h+m+(?:h+m*)?|m+h*m*|sh+|b+r+|g+r+|z+|p+s+t+|p+f+t*|t+s+k+|h+|n+)$")  # said, not spelled

_ONSETS = (
    "b bl br c ch chl chr cl cr d dr dw f fl fr g gh gl gn gr h j k kh kl kn kr l m n p ph phr pl pr ps q qu r rh s sc "
    "sch scr sh shr sk sl sm sn sp sph spl spr squ st str sw t th thr tr ts tw v w wh wr x y z"
)
_CODAS = (
    "b bs bt c ch ck cks cs ct cts d dd dge ds dth f ff ffs fs ft fth fts g gg gh ghs ght ghts gn gns gs h k ks l lb "
    "lbs lch ld lds lf lfth lk lks ll lls lm lms ln lp lps ls lt lth lts lve m mb mbs mn mp mps mpt mpts ms n nc nch "
    "nct nd nds ng ngs ngth ngths nk nks nn nns ns nst nt nth nths nts ntz nx nz p ph phs pp ps pt pth pts r rb rbs rc "
    "rch rd rds rf rfs rg rgh rk rks rl rld rlds rls rm rmth rms rn rns rp rps rr rs rsh rst rt rth rths rts rtz rv s "
    "sh sk sks sm sms sp sps ss st sts t tch th ths ts tt tz v w wd wds wk wks wl wls wn wns ws x xt xth xts z zz"
)
_ONE_OF_ONSETS, _ONE_OF_CODAS = ("|".join(parts.split()) for parts in (_ONSETS, _CODAS))
_SYLLABLES = re.compile(
    rf"(?:{_ONE_OF_ONSETS})?[aeiouy]+(?:(?:[bcdfghjklmnpqrstvwxz]{{1,4}})[aeiouy]+)*(?:{_ONE_OF_CODAS})?$"
)
_VOWEL = re.compile("[aeiouy]")

_SENTENCE = re.compile(r"[^.?!]+")
_WORD = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)*")
_PLURAL = re.compile(r"([A-Z]{2,})s$")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SCOTS = re.compile(r"(?:Mc|Mac)[A-Z][a-z]+$")
_JOINED_LETTERS = re.compile(r"(?<![A-Za-z])([A-Z]{1,4})([&/])([A-Z]{1,4})(?=s?\b)")
_CONTRACTION = re.compile(r"(?:'(?:s|d|ll|re|ve|m))*$", re.IGNORECASE)


def read_capitals(text: str) -> str:
    """`text` in lower case, each word as it is said."""
    return _SENTENCE.sub(_read_sentence, text)


def read_joined_letters(text: str) -> str:
    """R&B, AC/DC; before the signs between them are read as words."""
    return _JOINED_LETTERS.sub(_joined, text)


def letter_names(letters: str, plural: bool = False) -> str:
    """ "TV" → "tee vee"; plural: "tee vees"."""
    names = " ".join(LETTERS[letter] for letter in letters.lower())
    if not plural:
        return names
    return f"{names}es" if names.endswith(("s", "x", "ch")) else f"{names}s"


def _joined(match: re.Match[str]) -> str:
    before, sign, after = match.groups()
    if sign == "/" and {before.lower(), after.lower()} <= SHORT_WORDS | {"and", "or"}:
        return match[0]
    return f" {letter_names(before)} {'and ' if sign == '&' else ''}{letter_names(after)}"


def _read_sentence(match: re.Match[str]) -> str:
    sentence = match[0]
    words = _WORD.findall(sentence)
    shouted = _is_shouted(words)
    read, end = [], 0
    for index, found in enumerate(_WORD.finditer(sentence)):
        before = words[index - 1].lower() if index else ""
        after = words[index + 1].lower() if index + 1 < len(words) else ""
        read += [sentence[end : found.start()], _read(found[0], before, after, shouted)]
        end = found.end()
    return "".join(read) + sentence[end:]


def _is_shouted(words: list[str]) -> bool:
    """Two words or more, all in capitals, and one of them is an ordinary word."""
    if len(words) < 2 or not all(word.isupper() for word in words):
        return False
    return any(word.lower() in SHORT_WORDS or _is_speakable(word) for word in words if len(word) > 1)


def _read(word: str, before: str, after: str, shouted: bool) -> str:
    base, apostrophe, tail = word.partition("'")
    tail = (apostrophe + tail).lower()
    if tail and not _CONTRACTION.match(tail):
        return word.lower()  # y'all, o'clock
    if len(base) == 1:
        return _read_letter(base, before, bool(tail), shouted) + tail
    return _read_base(base, before, after, shouted) + tail


def _read_letter(letter: str, before: str, has_tail: bool, shouted: bool) -> str:
    if letter in "ai" or (letter == "I" and (has_tail or before not in BEFORE_A_LETTER - {"the", "an"})):
        return letter.lower()
    if letter == "A" and (shouted or before not in BEFORE_A_LETTER) and not has_tail:
        return "a"
    return LETTERS[letter.lower()]


def _read_base(base: str, before: str, after: str, shouted: bool) -> str:
    low = base.lower()
    if low in FIXED:
        return FIXED[low]
    if base.isupper():
        spelled = _is_spelled(base, before, after, shouted)
        return letter_names(low) if spelled else low
    if plural := _PLURAL.match(base):
        letters = plural[1]
        return letter_names(letters, plural=True) if _is_spelled(letters, "", "", False) else low
    if base[1:].islower() or _SCOTS.match(base):
        return _read_lower(low)
    return " ".join(_read_part(part) for part in _PART.findall(base))


def _read_part(part: str) -> str:
    """A piece of camelCase: the i of iPhone is a letter."""
    return LETTERS[part.lower()] if len(part) == 1 else _read_base(part, "", "", False)


def _read_lower(word: str) -> str:
    if word in SPELLED_IN_LOWER_CASE or not (_VOWEL.search(word) or SOUNDS.match(word)):
        return letter_names(word)
    return word


def _is_spelled(word: str, before: str, after: str, shouted: bool) -> bool:
    """Whether a word of two capitals or more is read letter by letter."""
    low = word.lower()
    if word in SPELLED or low in SPELLED_IN_LOWER_CASE:
        return True
    if word == COUNTRY:
        return not shouted
    if word == "IT":
        return after in AFTER_IT
    if word == "WHO":
        return before == "the" and not shouted
    if len(word) == 2:
        return low not in SHORT_WORDS and not SOUNDS.match(low)
    if not _VOWEL.search(low):
        return not SOUNDS.match(low)
    return not shouted and not _is_speakable(word)


def _is_speakable(word: str) -> bool:
    """Whether English syllables can make it up."""
    low = word.lower().replace("'", "")
    return word not in SPELLED and bool(_SYLLABLES.match(low) or SOUNDS.match(low))
