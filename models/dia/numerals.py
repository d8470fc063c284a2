"""Digits → English words: American, without "and" inside a number and without hyphens. Knows no text around them."""

ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
SCALES = ("", "thousand", "million", "billion", "trillion", "quadrillion", "quintillion")
LONGEST_CARDINAL = 3 * len(SCALES)  # digits; a longer number is read digit by digit
IRREGULAR_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
YEARS = range(1100, 2100)  # four digits that stand alone and are read in pairs
FRACTION_NAMES = {2: "half", 4: "quarter"}


def cardinal(number: str) -> str:
    """Digits → words. Leading zeros, and more digits than there are names for, are read one by one."""
    if (number[0] == "0" and len(number) > 1) or len(number) > LONGEST_CARDINAL:
        return one_by_one(number)
    value = int(number)
    if value == 0:
        return ONES[0]
    groups = []
    for scale in SCALES:
        value, group = divmod(value, 1000)
        if group:
            groups.append(f"{_below_thousand(group)} {scale}".strip())
        if not value:
            break
    return " ".join(reversed(groups))


def _below_thousand(value: int) -> str:
    hundreds, rest = divmod(value, 100)
    words = [f"{ONES[hundreds]} hundred"] if hundreds else []
    if rest >= len(ONES):
        words.append(TENS[rest // 10])
        rest %= 10
    if rest:
        words.append(ONES[rest])
    return " ".join(words)


def one_by_one(digits: str) -> str:
    """`digits`, each a word: "007" → "zero zero seven"."""
    return " ".join(ONES[int(digit)] for digit in digits)


def decimal(whole: str, fraction: str) -> str:
    """ "3", "14" → "three point one four"; without digits before the point it begins with "point"."""
    return f"{cardinal(whole) if whole else ''} point {one_by_one(fraction)}".strip()


def ordinal(number: str) -> str:
    """ "21" → "twenty first"."""
    head, _, last = cardinal(number).rpartition(" ")
    if last in IRREGULAR_ORDINALS:
        last = IRREGULAR_ORDINALS[last]
    elif last.endswith("y"):
        last = f"{last[:-1]}ieth"
    else:
        last += "th"
    return f"{head} {last}".strip()


def year(number: str) -> str:
    """Four digits as a year: "1987" → "nineteen eighty seven", "1905" → "nineteen oh five"."""
    century, rest = divmod(int(number), 100)
    if century % 10 == 0 and rest < 10:
        return cardinal(number)  # 2000 to 2009
    if rest == 0:
        return f"{cardinal(str(century))} hundred"
    return f"{cardinal(str(century))} {'oh ' if rest < 10 else ''}{cardinal(str(rest))}"


def plural(words: str) -> str:
    """Of a number's last word: "nineteen eighty" → "nineteen eighties"."""
    if words.endswith("y"):
        return f"{words[:-1]}ies"
    return f"{words}es" if words.endswith("x") else f"{words}s"


def fraction(numerator: str, denominator: str) -> str:
    """ "3", "4" → "three quarters". The denominator is at least 2."""
    name = FRACTION_NAMES.get(int(denominator)) or ordinal(denominator)
    if int(numerator) != 1:
        name = "halves" if name == "half" else f"{name}s"
    return f"{cardinal(numerator)} {name}"


def roman(numeral: str) -> int | None:
    """The value of a well-formed capital numeral below 50, or None."""
    for value in range(1, 50):
        if _roman_of(value) == numeral:
            return value
    return None


def _roman_of(value: int) -> str:
    tens, ones = divmod(value, 10)
    return ("", "X", "XX", "XXX", "XL")[tens] + ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX")[ones]
