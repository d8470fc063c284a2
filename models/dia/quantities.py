"""Numbers in a sentence → words: money, measures, ranges, ordinals, and whatever else holds digits.

Works on text with its capitals. Roman numerals are read here too; dates and times are in models/dia/dates.py.
"""

import re

from models.dia import numerals
from models.dia.abbreviations import ends_sentence
from models.dia.acronyms import LETTERS
from models.dia.dates import DATE_RULES, is_date, month_and_day
from models.dia.numerals import cardinal
from models.dia.rules import Match, Rule, apply_rules
from models.dia.short_forms import STARTERS
from models.dia.units import AREAS, BARE, CURRENCIES, DOTTED, SCALE, SCALES, SIGNS, UNIT, measure

# A number is taken apart by `_number`, not by groups, because it stands in many patterns.
NUMBER = r"(?:(?<!\d)(?:\d{1,3}(?:,\d{3}){1,6}(?!\d)|\d++)(?:\.\d++)?|(?<![\w.])\.\d++)"

LONGEST_UNGROUPED = 12  # digits; a longer row without commas is no amount but a name: read one by one
CALLED = re.compile(r"(?:call|called|dial|dialed|phone|ring)\s$", re.IGNORECASE)  # 911
FIRST_YEAR = 1010  # behind one of BEFORE_YEAR; numerals.YEARS elsewhere
LOOK_BACK = 8  # characters
BEFORE_YEAR = re.compile(r"(?:in|since|by|until|till|from|of|year|after|before|during|around|circa)\s$", re.IGNORECASE)
COUNTED = re.compile(
    r"\s(?:people|persons|men|women|children|students|soldiers|workers|users|members|times|words|letters|pages|copies|"
    r"books|dollars|pounds|euros|cents|miles|feet|years|months|weeks|days|hours|minutes|seconds|calories|points|votes|"
    r"steps|cars|houses|homes|jobs|acres|tons|islands|percent)\b"
)
OUT_OF = frozenset({10, 20, 50, 100})  # 7/10 is a rating
FRACTIONS = frozenset({*range(2, 10), 12, 16, 32})  # 5/16 inch; with another denominator it may be a date
BEFORE_DATE = re.compile(r"(?:on|by|until|till|since|before|after)\s$", re.IGNORECASE)
NOUN_OF_MONEY = re.compile(r"\s(?:bill|note|coin|ticket|tip|fee|gift|coupon|discount)")
SAID_IN_PAIRS = frozenset({"24/7", "9/11", "50/50", "20/20", "60/40", "70/30", "80/20", "90/10"})

NUMBERED = (
    "World War|Chapter|Part|Act|Scene|Book|Volume|Section|Article|Phase|Title|Super Bowl|Rocky|Level|Episode|Stage|"
    "Type|Class|Grade|Appendix|Figure|Mark"
)
RULERS = (
    "Henry|Louis|George|Edward|Richard|Charles|James|Elizabeth|William|Benedict|Paul|Pius|Francis|Leo|Alexander|"
    "Catherine|Peter|Nicholas|Ivan|Philip|Frederick|Napoleon|Ramses|Mary|Robert|Otto|Gustav|Clement|Gregory|Innocent|"
    "Urban|Christian|Wilhelm|Friedrich|Ferdinand|Alfonso|Carlos|Felipe|Harald|Olav|Haakon|Margrethe|Julius"
)


def read_numbers(text: str) -> str:
    """`text` with every number spoken: no digit is left."""
    return apply_rules(RULES, _read_inches(text))


def _number(written: str, *, may_be_year: bool = False) -> str:
    whole, point, fraction = written.replace(",", "").partition(".")
    if point:
        return numerals.decimal(whole, fraction)
    if may_be_year and len(written) == 4 and int(whole) in numerals.YEARS:
        return numerals.year(whole)
    if len(written) > LONGEST_UNGROUPED and "," not in written:
        return numerals.one_by_one(whole)
    return cardinal(whole)


def _read_inches(text: str) -> str:
    """12" is twelve inches, unless the mark closes a quotation."""
    *pieces, last = text.split('"')
    is_open, read = False, []
    for piece in pieces:
        if not is_open and piece[-1:].isdigit():
            read.append(f"{piece} {'inch' if re.search(r'(?<![0-9.])1$', piece[-3:]) else 'inches'}")
        else:
            is_open = not is_open
            read.append(f'{piece}"')
    return "".join([*read, last])


def _feet_and_inches(match: Match) -> str:
    feet, inches = match.groups()
    return f"{cardinal(feet)} {'foot' if feet == '1' else 'feet'} {cardinal(inches)} {'inch' if inches == '1' else ''}"


def _groups(match: Match) -> str:
    """A telephone number: digit by digit, a breath between its groups."""
    plus = "plus " if "+" in match[0] else ""
    return plus + ", ".join(numerals.one_by_one(group) for group in re.findall(r"\d+", match[0]))


def _points(match: Match) -> str:
    """2.0.1, 192.168.1.1."""
    word = "dot" if match[0].count(".") > 2 else "point"
    return f" {word} ".join(cardinal(group) for group in match[0].split("."))


def _money(match: Match) -> str:
    sign, amount, scale = match.groups()
    if not scale and NOUN_OF_MONEY.match(match.string, match.end()):
        return f"{_number(amount)} {CURRENCIES[sign][0]}"
    return _amount(sign, amount, (scale or "").strip())


def _money_behind(match: Match) -> str:
    return _amount(match[2], match[1], "")


def _amount(sign: str, written: str, scale: str) -> str:
    one, several, hundredth, hundredths = CURRENCIES[sign]
    if scale:
        return f"{_number(written)} {SCALES.get(scale, scale)} {several}"
    whole, _, fraction = written.partition(".")
    if len(fraction) != 2 or not hundredth:
        return f"{_number(written)} {one if written == '1' else several}"
    parts = [f"{_number(whole)} {one if whole == '1' else several}"] if whole.strip("0") or fraction == "00" else []
    if fraction != "00":
        parts.append(f"{cardinal(str(int(fraction)))} {hundredth if fraction == '01' else hundredths}")
    return " and ".join(parts)


def _measure(match: Match) -> str:
    number, unit, period = match[1], match[2].strip(), match[3]
    kept = period if unit not in DOTTED or ends_sentence(match) else ""
    return f"{_number(number)} {measure(unit, one=number == '1')}{kept} "


def _measure_before_noun(match: Match) -> str:
    """A 5-km run."""
    return f"{_number(match[1])} {measure(match[2].strip(), one=True)} "


def _degrees(match: Match) -> str:
    return f"{_number(match[1])} {measure('°' + match[2].upper(), one=match[1] == '1')}"


def _area(match: Match) -> str:
    number, before, unit, power = match.groups()
    name = {"ft": ("foot", "feet"), "in": ("inch", "inches")}.get(unit) or (AREAS[unit], f"{AREAS[unit]}s")
    shape = "cubic" if before == "cu" or power in ("³", "3") else "square"
    return f"{_number(number)} {shape} {name[number != '1']}"


def _fraction(match: Match) -> str:
    whole, top, bottom = match.groups()
    if f"{top}/{bottom}" in SAID_IN_PAIRS and not whole:
        return f"{cardinal(top)} {cardinal(bottom)}"
    before, value = f"{cardinal(whole)} and " if whole else "", int(bottom)
    if value in OUT_OF and not whole and not BEFORE_DATE.search(_before(match)):
        return f"{cardinal(top)} out of {cardinal(bottom)}"
    if not whole and is_date(bottom, top) and (value not in FRACTIONS or BEFORE_DATE.search(_before(match))):
        return month_and_day(top, bottom)
    if value not in FRACTIONS or int(top) >= value or bottom[0] == "0":
        return f"{f'{cardinal(whole)} ' if whole else ''}{cardinal(top)} slash {cardinal(bottom)}"
    if (top, bottom) == ("1", "2") and whole:
        return f"{before}a half"
    return before + numerals.fraction(top, bottom)


def _ordinal(match: Match) -> str:
    return numerals.ordinal(match[1].replace(",", ""))


def _decade(match: Match) -> str:
    digits = match[1]
    if digits in ("100", "1000"):
        return f"{cardinal(digits).split()[1]}s"
    return numerals.plural(_number(digits, may_be_year=True))


def _several(match: Match) -> str:
    return f" {numerals.plural(cardinal(match[1]))}"


def _letter_before(match: Match) -> str:
    return f"{LETTERS[match[1].lower()]} "


def _letter_behind(match: Match) -> str:
    return f" {LETTERS[match[1].lower()]} "


def _roman_chapter(match: Match) -> str:
    value = numerals.roman(match[2])
    return f"{match[1]} {cardinal(str(value))}".strip() if value else match[0]


def _roman_ruler(match: Match) -> str:
    value = numerals.roman(match[2])
    return f"{match[1]} the {numerals.ordinal(str(value))}" if value else match[0]


def _before(match: Match) -> str:
    return match.string[max(0, match.start() - LOOK_BACK) : match.start()]


def _plain(match: Match) -> str:
    written, before = match[0], _before(match)
    counted = COUNTED.match(match.string, match.end())
    if (written == "911" and not counted) or (len(written) == 3 and CALLED.search(before)):
        return numerals.one_by_one(written)
    dated = bool(BEFORE_YEAR.search(before))
    if dated and not counted and written.isdigit() and len(written) == 4 and int(written) >= FIRST_YEAR:
        return numerals.year(written) if int(written) < numerals.YEARS.stop else cardinal(written)
    return _number(written, may_be_year=dated or not counted)


def _bare_unit(match: Match) -> str:
    return measure(BARE[match[0].lower()], one=False)


_STARTER = "|".join(sorted(STARTERS))
_TOUCH = rf"[{SIGNS}]?\.?\d"
ROMAN_RULES: tuple[Rule, ...] = (
    (re.compile(rf"\b({NUMBERED}) ([IVX]{{1,6}}|XL[IVX]{{0,5}})\b(?!')"), _roman_chapter),
    (re.compile(rf"\b({RULERS}) ([IVX]{{2,6}}|[VX](?!\.\s(?!(?:{_STARTER})\b)[A-Z]))\b"), _roman_ruler),
    (re.compile(r"\b([A-Z][a-z]{1,30}) (II)\b"), _roman_chapter),
    (re.compile(r"(?<!\w)()(III|VII|VIII|XII|XIII|XIV|XVI|XVII|XVIII)\b"), _roman_chapter),
)
DIGIT_RULES: tuple[Rule, ...] = (
    # Numbers that are names: of a telephone, a version, a network address.
    (re.compile(r"(?<![\w+])\+\d{1,3}(?:[ .-]?\(?\d{1,4}\)?(?!\d)){2,5}(?!\w)"), _groups),
    (re.compile(r"(?<![\w.,-])(?:\d[ .-])?\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}(?!\w)"), _groups),
    (re.compile(r"(?<![\w.,$£€-])[2-9]\d{2}-\d{4}(?![\w-])"), _groups),
    (re.compile(r"(?<![\w.,$£€-])0\d{2,4} \d{3,4} \d{3,4}(?!\w)"), _groups),
    (re.compile(r"(\d\s?[ap]\.?m\b\.?|\d:\d\d)\s?-\s?(?=\d)", re.IGNORECASE), r"\1 to "),
    *DATE_RULES,
    (re.compile(r"(?<![\w.,-])\d{1,9}(?:-\d{1,9}){2,6}(?![\w-])"), _groups),
    (re.compile(r"\b[vV](?:er)?\.?\s?(?=\d{1,4}\b)"), "version "),
    (re.compile(r"(?<![\w.])\d{1,5}(?:\.\d{1,5}){2,5}(?![\w]|\.\d)"), _points),
    (re.compile(r"(?<![\w.])(\d{1,2})'\s?(\d{1,2})(?: inch(?:es)?\b|''|(?![\w']))"), _feet_and_inches),
    (re.compile(r"(?<![\w.])(\d{1,2})'(?=\s(?:tall|long|wide|high|deep|by)\b)"), r"\1 feet"),
    # Signs between and before numbers.
    (re.compile(r"(\d)\s?-\s?(?=\d{1,9}\s?=)"), r"\1 minus "),
    (re.compile(rf"([$£€])({NUMBER})\s?-\s?\1?(?=\d)"), r"\2 to \1"),
    (re.compile(rf"(?<![A-Za-z])(\d(?:st|nd|rd|th|[%°km])?)\s?-\s?(?={_TOUCH})"), r"\1 to "),
    (re.compile(rf"(?<![^\s(\[\"'])-(?={_TOUCH})"), " minus "),
    (re.compile(rf"(?<![^\s(\[\"'])\+(?={_TOUCH})"), " plus "),
    (re.compile(r"(\d)\s?[×*]\s?(?=\d)"), r"\1 times "),
    (re.compile(r"(\d)\s?[xX]\s?(?=\d)"), r"\1 by "),
    (re.compile(r"(\d)\s[/÷]\s(?=\d)"), r"\1 divided by "),
    (re.compile(r"(\d)\^(?=\d)"), r"\1 to the power of "),
    (re.compile(r"(?<![\w.])[xX]\s?(?=\d)"), "times "),
    (re.compile(r"(\d)[xX]\b"), r"\1 times"),
    (re.compile(r"(\d)\s?:\s?(?=\d)"), r"\1 to "),
    (re.compile(r"#\s?(?=\d)"), " number "),
    (re.compile(r"~\s?(?=[$£€]?\d)"), " about "),
    (re.compile(rf"({NUMBER})()\s?(ft|in|m|km|cm|mm)([²³23])(?!\w)"), _area),
    # Letters before digits: MP3, A4, COVID-19, US$5.
    (re.compile(r"(?<=[A-Za-z])-?(\d{1,2})s\b"), _several),
    (re.compile(r"(?<![A-Za-z'])([A-Za-z])-?(?=\d)"), _letter_before),
    (re.compile(rf"(?<=[A-Za-z])-?(?=[\d{SIGNS}])"), " "),
    # What a number counts.
    (re.compile(rf"([{SIGNS}])\s?({NUMBER})({SCALE})?"), _money),
    (re.compile(rf"({NUMBER})\s?([{SIGNS}])"), _money_behind),
    (re.compile(rf"({NUMBER})\s?(?:(sq|cu)(?:\.|uare|bic)?\s)(ft|in|m|km|cm|mi|yd)\b()\.?"), _area),
    (re.compile(rf"({NUMBER})\s?(square|cubic)\s(ft|in|m|km|cm|mi|yd)\b()"), _area),
    (re.compile(rf"({NUMBER})\s?°\s?([CFcf])\b"), _degrees),
    (re.compile(rf"({NUMBER})-({UNIT})"), _measure_before_noun),
    (re.compile(rf"({NUMBER})({UNIT})(\.?)"), _measure),
    (re.compile(rf"({NUMBER})in\b\.?"), r"\1 inches"),
    (re.compile(r"(?<![\d/.])(?:(\d{1,4})[ -])?(\d{1,3})/(\d{1,3})(?![\d/]|\.\d)"), _fraction),
    # What a number's ending says.
    (re.compile(r"(?<![\d.])(\d[\d,]{0,20})(?:st|nd|rd|th)\b", re.IGNORECASE), _ordinal),
    (re.compile(r"'?(?<![\w.,])(\d{4}|[2-9]0|100)'?s\b"), _decade),
    (re.compile(r"(?<![\w.,])(\d{1,2}|\d{1,3}\.\d{1,3})s\b"), r"\1 seconds"),
    (re.compile(r"(?<!\w)'0(?=[1-9]\b)"), "oh "),
    # Letters behind digits.
    (re.compile(r"(?<=\d)-?([A-Za-z])(?![A-Za-z'])"), _letter_behind),
    (re.compile(r"(?<=\d)-?(?=[A-Za-z])"), " "),
    (re.compile(NUMBER), _plain),
    (re.compile(rf"(?<![\w/'])(?:{'|'.join(sorted({*BARE, *BARE.values()}))})(?![\w/'])"), _bare_unit),
)
RULES = ROMAN_RULES + DIGIT_RULES
