"""Dates and times of day in a sentence → words. Works on text with its capitals, before other numbers are read."""

import re

from models.dia import numerals
from models.dia.abbreviations import ends_sentence
from models.dia.numerals import cardinal, ordinal
from models.dia.rules import Match, Rule
from models.dia.short_forms import MONTHS

_SHORT_MONTHS = {name[:3]: name for name in MONTHS} | {"sept": "september"}
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SHORT_DAYS = {name[:3]: name for name in _WEEKDAYS}

_CAPITAL_MONTH = "|".join([*(m.title() for m in MONTHS), *(m.title() for m in _SHORT_MONTHS)])
# "may" and "march" are words of their own in lower case.
_MONTH = rf"(?:{_CAPITAL_MONTH}|{'|'.join(m for m in MONTHS if m not in ('may', 'march'))})"
_ANY_MONTH = rf"(?:{_CAPITAL_MONTH}|{'|'.join(MONTHS)})"  # behind an ordinal there is no doubt
_DAY = r"(\d{1,2})"
_TH = r"(?:st|nd|rd|th)"
_YEAR = r"(?:,?\s(\d{4})(?![\d,.]\d|\d))?"
_NO_MORE = r"(?!\d|[:.,/]\d|%|\s?[ap]\.?m\b)"
_HALF = r"(?:\s?([ap])(\.?)\s?m\b(\.?)|\s((?:eigh|pee) em)\b)"
_DAY_NAME = r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun)(?:s|rs?|nesday|urday|day|sday|rsday)?\.?"


def _full_date(day: str, month: str, year: str) -> str:
    return f"{month_and_day(month, day)}, {_year(year)}"


def month_and_day(month: str, day: str) -> str:
    return f"{MONTHS[int(month) - 1]} {ordinal(str(int(day)))}"


def is_date(day: str, month: str) -> bool:
    return 1 <= int(month) <= 12 and 1 <= int(day) <= 31


def _year(digits: str) -> str:
    if len(digits) == 2:
        return _minutes(digits)
    return numerals.year(digits) if int(digits) in numerals.YEARS else cardinal(str(int(digits)))


def _iso_date(match: Match) -> str:
    year, month, day = match.groups()
    return _full_date(day, month, year) if is_date(day, month) else match[0]


def _slash_date(match: Match) -> str:
    """Month first, as in America; day first where the month could be none, or with periods."""
    first, sign, second, year = match.groups()
    month, day = (second, first) if sign == "." else (first, second)
    if not is_date(day, month):
        month, day = day, month
    return _full_date(day, month, year) if is_date(day, month) else match[0]


def _month_name(written: str) -> str:
    low = written.lower()
    return low if low in MONTHS else _SHORT_MONTHS[low]


def _month_day(match: Match) -> str:
    month, day, last_day, year = match.groups()
    if not is_date(day, "1"):
        return match[0]
    to = f" to {ordinal(last_day)}" if last_day else ""
    return f"{_month_name(month)} {ordinal(str(int(day)))}{to}" + (f", {_year(year)}" if year else "")


def _day_month(match: Match) -> str:
    the, day, month, year = match.groups()
    if not is_date(day, "1"):
        return match[0]
    article = the or "the "
    return f"{article}{ordinal(str(int(day)))} of {_month_name(month)}" + (f", {_year(year)}" if year else "")


def _month_year(match: Match) -> str:
    return f"{_month_name(match[1])} {_year(match[2])}"


def _day_range(match: Match) -> str:
    return " to ".join(_SHORT_DAYS[day.lower()] for day in match.groups())


def _clock(match: Match) -> str:
    """3:30, 15:45, 3:00 p.m. What is no time is a ratio, a score or a verse."""
    hour, minute, second, *half = match.groups()
    if int(hour) > 24 or int(minute) > 59 or int(second or 0) > 59:
        return match[0]
    minutes = "" if minute == "00" else _minutes(minute)
    seconds = _minutes(second) if second else ""
    if not minutes and not any(half) and not second:
        return _full_hour(int(hour))
    words = (cardinal(str(int(hour))), minutes, seconds, _half(match, *half))
    return " ".join(filter(None, words))


def _minutes(digits: str) -> str:
    return f"oh {cardinal(digits[1])}" if digits[0] == "0" else cardinal(digits)


def _full_hour(hour: int) -> str:
    if hour in (0, 24):
        return "midnight"
    return cardinal(str(hour)) + (" o'clock" if hour <= 12 else " hundred")


def _half(match: Match, letter: str | None, inner: str | None, period: str | None, spelled: str | None) -> str:
    """The a.m. or p.m. of a time, with the period that ends the sentence."""
    if letter is None:
        return spelled or ""
    kept = "." if period and (not inner or ends_sentence(match)) else ""
    return f"{'eigh' if letter.lower() == 'a' else 'pee'} em{kept}"


def _hour(match: Match) -> str:
    hour, *half = match.groups()
    return f"{cardinal(str(int(hour)))} {_half(match, *half)}" if int(hour) <= 24 else match[0]


DATE_RULES: tuple[Rule, ...] = (
    (re.compile(r"(?<![\w/.-])(\d{4})-(\d{1,2})-(\d{1,2})(?![\w-])"), _iso_date),
    (re.compile(r"(?<![\w/.-])(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})(?![\w/-]|\.\d)"), _slash_date),
    (re.compile(rf"\b({_MONTH})\.?\s{_DAY}{_TH}?(?:\s?-\s?(\d{{1,2}}){_TH}?)?{_NO_MORE}{_YEAR}(?!\w)"), _month_day),
    (re.compile(rf"(?<![\w.,:/$£€-])([Tt]he\s)?{_DAY}{_TH}?\s(?:of\s)?({_MONTH})\b{_YEAR}"), _day_month),
    (re.compile(rf"(?<![\w.,:/$£€-])([Tt]he\s)?{_DAY}{_TH}\s(?:of\s)?({_ANY_MONTH})\b{_YEAR}"), _day_month),
    (re.compile(rf"\b({_MONTH})\.?,?\s(\d{{4}})(?![\w,:]|\.\d)"), _month_year),
    (re.compile(rf"\b{_DAY_NAME}\s?-\s?{_DAY_NAME}(?!\w)"), _day_range),
    (re.compile(rf"(?<![\w:.,])(\d{{1,2}}):(\d{{2}})(?::(\d{{2}}))?(?![\d:]){_HALF}?", re.IGNORECASE), _clock),
    (re.compile(rf"(?<![\w:.,])(\d{{1,2}})\.(\d{{2}})(\b){_HALF}", re.IGNORECASE), _clock),
    (re.compile(rf"(?<![\w:.,])(\d{{1,2}}){_HALF}", re.IGNORECASE), _hour),
)
