"""People's names of many countries, from the package faker: they teach how English reads what it does not know."""

import re
from collections.abc import Iterable
from importlib import import_module

LOCALES = {  # of each country whose names are written with these letters alone, or mostly
    "cs_CZ", "da_DK", "de_DE", "en_GB", "en_IE", "en_IN", "en_KE", "en_NG", "es_ES", "es_MX", "et_EE", "fi_FI", "fr_FR",
    "hr_HR", "hu_HU", "id_ID", "it_IT", "lt_LT", "lv_LV", "nl_NL", "no_NO", "pt_BR", "ro_RO", "sk_SK", "sl_SI", "sv_SE",
    "tr_TR", "tw_GH", "yo_NG", "zu_ZA",
}  # fmt: skip
_PLAIN = re.compile(r"[A-Z][a-z]+(?:[ '-][A-Z][a-z]+)?")


def names() -> list[str]:
    """First and last names that need no letters but A to Z, sorted, each once."""
    return sorted(name for name in set(_all_names()) if _PLAIN.fullmatch(name))


def _all_names() -> Iterable[str]:
    for locale in LOCALES:
        provider = import_module(f"faker.providers.person.{locale}").Provider
        for part in ("first_names", "first_names_male", "first_names_female", "last_names"):
            yield from getattr(provider, part, ())
