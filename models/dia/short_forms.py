"""Which short forms there are and what they stand for. Data only; how they are told apart is in abbreviations.py."""

from models.dia.rules import listed

MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)
SHORT_MONTHS = tuple(month[:3] for month in MONTHS)
# Before a name; their period never ends a sentence.
TITLES = {
    "mr": "mister",
    "mrs": "missus",
    "ms": "miss",
    "messrs": "messieurs",
    "prof": "professor",
}
# The same, but only with a capital and before a capital: in lower case they are words, or cut-off ones.
CAPITAL_TITLES = {
    "adm": "admiral",
    "capt": "captain",
    "cmdr": "commander",
    "col": "colonel",
    "cpl": "corporal",
    "fr": "father",
    "ft": "fort",
    "gen": "general",
    "gov": "governor",
    "hon": "honorable",
    "lt": "lieutenant",
    "maj": "major",
    "mt": "mount",
    "pres": "president",
    "pvt": "private",
    "rep": "representative",
    "rev": "reverend",
    "sen": "senator",
    "sgt": "sergeant",
}
# These may end a sentence.
WORDS = {
    "approx": "approximately",
    "appt": "appointment",
    "assn": "association",
    "assoc": "association",
    "asst": "assistant",
    "ave": "avenue",
    "avg": "average",
    "bldg": "building",
    "blvd": "boulevard",
    "bros": "brothers",
    "cf": "compare",
    "corp": "corporation",
    "dept": "department",
    "depts": "departments",
    "esp": "especially",
    "etc": "et cetera",
    "excl": "excluding",
    "govt": "government",
    "hwy": "highway",
    "incl": "including",
    "intl": "international",
    "jr": "junior",
    "ltd": "limited",
    "misc": "miscellaneous",
    "mtg": "meeting",
    "natl": "national",
    "pkwy": "parkway",
    "pls": "please",
    "plz": "please",
    "ppl": "people",
    "qty": "quantity",
    "sq": "square",
    "sr": "senior",
    "tel": "telephone",
    "thx": "thanks",
    "btw": "by the way",
    "univ": "university",
    "viz": "namely",
    "vs": "versus",
}
# Words of their own without the period, or in lower case.
ONLY_WITH_PERIOD = {
    "co": "company",
    "inc": "incorporated",
    "inst": "institute",
    "ln": "lane",
    "pl": "place",
    "max": "maximum",
    "min": "minimum",
    "rd": "road",
    "apr": "april",
    "aug": "august",
    "dec": "december",
    "feb": "february",
    "nov": "november",
    "oct": "october",
    "sep": "september",
    "sept": "september",
    "mon": "monday",
    "tue": "tuesday",
    "tues": "tuesday",
    "thu": "thursday",
    "thur": "thursday",
    "thurs": "thursday",
    "fri": "friday",
}
LOWER_CASE_ONLY = frozenset({"max", "min"})  # Max. and Min. are people
# Before a number.
COUNTED = {
    "app": "appendix",
    "apt": "apartment",
    "c": "circa",
    "ca": "circa",
    "ch": "chapter",
    "chap": "chapter",
    "ed": "edition",
    "eq": "equation",
    "ext": "extension",
    "fig": "figure",
    "figs": "figures",
    "no": "number",
    "nos": "numbers",
    "nr": "number",
    "p": "page",
    "pg": "page",
    "pp": "pages",
    "pt": "part",
    "sec": "section",
    "vol": "volume",
    "vols": "volumes",
}
BEFORE_A_DAY = {"jan": "january", "mar": "march", "jun": "june", "jul": "july"}
DAYS_BEFORE_MORE = {"sat": "saturday", "sun": "sunday", "wed": "wednesday"}  # before what begins no sentence
SAINTS = listed(
    "alban albans andrew andrews anne anthony augustine barts bernard catherine charles clair cloud croix elmo francis "
    "george helena helens ives james john johns joseph jude kitts louis lucia luke mark martin mary michael moritz "
    "nicholas nick olaf pancras patrick paul pauli paulo peter petersburg stephen thomas tropez valentine vincent"
)
# Whose capital behind a period tells that a sentence begins; other capitals may be names.
STARTERS = listed(
    "A After All Also An And Any Anyway Are As At Because Before But By Can Come Could Did Do Does Even Every For "
    "From Go Had Has Have He Her Here His How I I'd I'll I'm I've If In Is It It's Its Just Let Look Many Maybe My "
    "Never Next No Nobody Not Now Of Oh On Once One Only Or Our Please She Since So Some Still Such Take Thank That "
    "That's The Their Then There There's These They They're This Those To Today Try Very Was We We're Well Were What "
    "What's When Where Which While Who Why Will With Would Yes Yet You You're Your"
)
