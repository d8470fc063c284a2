"""Everyday sentences from patterns with slots (text/templates.txt), so that no corpus with unclear terms is needed.

Names of people, states, jobs and countries come from Faker (MIT).
"""

import random
import re
from collections import defaultdict
from collections.abc import Iterator
from importlib import resources

from faker.providers.address.en_US import Provider as Address
from faker.providers.job import Provider as Job
from faker.providers.person.en_US import Provider as Person
from num2words import num2words

_SLOT = re.compile(r"\{\w+\}")
_DIGITS = ("zero", "oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_LETTERS = (
    *("eigh", "bee", "see", "dee", "ee", "ef", "jee", "aitch", "eye", "jay", "kay", "ell", "em", "en", "oh", "pee"),
    *("cue", "are", "ess", "tee", "you", "vee", "double you", "ex", "why", "zee"),
)


class Templates:
    """Draws sentences. The same generator state gives the same sentences."""

    def __init__(self) -> None:
        self._slots = _read(resources.files("training").joinpath("text/templates.txt").read_text())
        self._patterns = self._slots.pop("pattern")
        self._slots["first"] = sorted({*Person.first_names_female, *Person.first_names_male})
        self._slots["last"] = sorted(Person.last_names)
        self._slots["state"] = sorted(Address.states)
        self._slots["country"] = sorted(c for c in Address.countries if re.fullmatch(r"[A-Za-z ]+", c))
        self._slots["job"] = sorted(j for j in Job.jobs if re.fullmatch(r"[A-Za-z ]+", j))

    def draw(self, chance: random.Random) -> str:
        """One sentence, first letter in upper case."""
        text = self._fill(chance.choice(self._patterns), chance)
        text = re.sub(r"\ba (?=[aeiou])", "an ", text)
        return text[:1].upper() + text[1:]

    def stream(self, chance: random.Random) -> Iterator[str]:
        while True:
            yield self.draw(chance)

    def names(self) -> list[str]:
        """Of people, places, countries and jobs."""
        return [name for slot in ("first", "last", "city", "state", "country", "job") for name in self._slots[slot]]

    def _fill(self, pattern: str, chance: random.Random) -> str:
        return _SLOT.sub(lambda m: self._fill(self._value(m[0][1:-1], chance), chance), pattern)

    def _value(self, slot: str, chance: random.Random) -> str:
        if slot in self._slots:
            return chance.choice(self._slots[slot])
        return _number(slot, chance)


def _number(slot: str, chance: random.Random) -> str:
    match slot:
        case "digit":
            return chance.choice(_DIGITS)
        case "letter":
            return chance.choice(_LETTERS)
        case "letters":
            return " ".join(chance.choices(_LETTERS, k=chance.randint(2, 4)))
        case "year":
            return _plain_number(num2words(chance.randint(1100, 2035), to="year"))
        case "number":
            return _plain_number(num2words(int(10 ** chance.uniform(0.3, 4.5))))
    raise KeyError(f"training/text/templates.txt uses {{{slot}}}, which it does not define")


def _plain_number(text: str) -> str:
    return re.sub(r" and |, |-", " ", text)


def _read(text: str) -> dict[str, list[str]]:
    slots: dict[str, list[str]] = defaultdict(list)
    name = ""
    for line in text.splitlines():
        if line.startswith("["):
            name = line[1:-1]
        elif line and not line.startswith("#"):
            slots[name].append(line)
    return dict(slots)
