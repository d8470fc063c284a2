"""What a rule for text is: a pattern, and a reader that turns a match into words. Knows no language.

Rules run over text in order, what is special before what is general. Their repetitions are bounded, possessive, or
begin where a run of characters begins, so that no text takes more than linear time.
"""

import re
from collections.abc import Callable, Iterable

Match = re.Match[str]
Rule = tuple[re.Pattern[str], Callable[[Match], str] | str]  # a string may name groups, as in re.sub


def apply_rules(rules: Iterable[Rule], text: str) -> str:
    for pattern, reader in rules:
        text = pattern.sub(reader, text)
    return text


def listed(words: str) -> frozenset[str]:
    """The words of a string, for lists that are read by people too."""
    return frozenset(words.split())
