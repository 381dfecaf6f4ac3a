"""Regular expressions of what stands within a line and must not change. Knows no words and no budget.

Every repetition is possessive or bounded, and every pattern that begins with one may begin only where its run
does, so that searching takes time linear in the text.
"""

import re
from functools import lru_cache

_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?"
    r"|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\b\.?"
)
_DAY = r"\d{1,2}(?:st|nd|rd|th)?(?!\d)"
_YEAR = r"(?:,?\s(?:\d{4}|['’]\d\d)(?!\d))?"
_ZONE = r"(?:\s?(?:UTC|GMT|CES?T|E[SD]T|P[SD]T|C[SD]T|M[SD]T|BST|Z)\b(?:[+\-−]\d{1,2}(?::\d\d)?)?)?"
DATE = re.compile(
    rf"(?<!\w)\d{{4}}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{{1,9}})?)?(?:Z\b|[+\-]\d\d:?\d\d)?)?(?!\d)"
    rf"|(?<!\w)\d{{1,2}}:\d\d(?::\d\d(?:[.,]\d{{1,9}})?)?(?!\d)(?:\s?[ap]\.?m\b\.?)?{_ZONE}"
    rf"|(?<!\w){_DAY}(?:\s?[-–]\s?{_DAY})?\s(?:of\s)?{_MONTH}{_YEAR}"
    rf"|(?<!\w){_MONTH}\s(?:\d{{4}}(?!\d)|{_DAY}(?:\s?[-–]\s?{_DAY})?{_YEAR})"
    r"|(?<!\w)(?:spring|summer|autumn|fall|winter|early|late|mid)[ -](?:of\s)?\d{4}s?(?!\w)",
    re.IGNORECASE,
)

_UNIT = (
    r"(?:%|‰|°\s?[CFKRcfk]?(?!\w)|[€£¥₹₩₽$](?!\w)|(?:(?i:per\s?cent(?:age)?|percentage\spoints?|degrees?"
    r"|(?:celsius|fahrenheit|kelvin)|(?:kilo|milli|centi|micro|nano|mega|giga|tera|peta|kibi|mebi|gibi)?"
    r"(?:met(?:er|re)|gram(?:me)?|lit(?:er|re)|watt|volt|amp(?:ere)?|byte|bit|hertz|joule|pascal|second"
    r"|ton|calorie|newton)s?|inch(?:es)?|f(?:oo|ee)t|yards?|miles?|acres?|hectares?|ounces?|pounds?|stones?"
    r"|tons?|tonnes?|gallons?|pints?|cups?|knots?|seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|weeks?"
    r"|months?|years?|yrs?|decades?|centur(?:y|ies)|dozens?|hundreds?|thousands?|millions?|billions?"
    r"|trillions?|dollars?|cents?|euros?|yen|rupees?|francs?|times|fold|words?|tokens?|characters?|pages?"
    r"|people|users?|points?|votes?|seats?|a\.?m|p\.?m|noon|sq\.?|BCE?|AD|CE|square|cubic|per)"
    r"|[kMGTPmµμncdh]?(?:m[²³23]?|g|s|Hz|B|b|bps|W|Wh|V|A|J|l|L|Pa|mol|N|bar|cal|eV|Ω)|[KMG]iB|kt|mph|rpm|fps|dpi|ppm"
    r"|psi|ft|yd|mi|lbs?|oz|ha|px|pt|em|dB|USD|EUR|GBP|CHF|JPY|CNY|INR|AUD|CAD|SEK)(?!\w))"
)
_SIGN = r"(?:(?<!\w)[+\-−±≈~<>≤≥]=?[ ]?)?"
_MONEY = (
    r"(?:(?<!\w)(?:[A-Z]{1,3})?[$€£¥₹₩₽][ ]?|(?<!\w)(?:USD|EUR|GBP|CHF|JPY|CNY|INR|AUD|CAD|No\.|§§?|#)[ ]?)?"
)
_CORE = r"\d++(?:[.,:'’/⁄]\d++)*+(?:[eE][+\-−]?\d++)?+[A-Za-zµμΩ°%‰²³½¼¾]*+(?:[/^][A-Za-z\d]++)*+"
_JOIN = (
    r"(?:[ ]?+(?:[-–—/x×±]|\.\.\.?|to|through|until|by|and|or|of|out[ ]of|vs\.?)[ ]?+"
    rf"{_SIGN}{_MONEY}|[ \u00a0\u202f](?=\d{{3}}(?!\d)))"
)
NUMBER = re.compile(
    rf"{_CORE}(?:{_JOIN}{_CORE})*+(?:[ \u00a0\u202f-]?{_UNIT}(?:/(?i:[a-z]{{1,6}}))?){{0,3}}+"
)
"""A number from its first digit on."""
BEFORE_NUMBER = re.compile(rf"{_SIGN}{_MONEY}{_SIGN}\Z")
"""Its sign and currency."""
LONGEST_BEFORE_NUMBER = 8
MARKS_BEFORE_NUMBER = frozenset("+-−±≈~<>≤≥=$€£¥₹₩₽§#.")
"""What those end with, if with no capital."""

IDENTIFIER = re.compile(
    r"(?<![\w$])(?:"
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}(?!\w)"
    r"|(?![A-Za-z](?:\.[A-Za-z]){1,8}+(?!\w))[A-Za-z_]\w*+(?:(?:\.|::|->)[A-Za-z_]\w*+)++(?:\(\))?"
    r"|(?!_[^\W_]++_(?!\w))[A-Za-z0-9]*+_\w++(?:\(\))?"
    r"|(?:[a-z]++|[A-Z]++[a-z0-9]++)[A-Z]\w*+(?:\(\))?"
    r"|[A-Za-z]++[-–]?\d[\w\-]*+"
    r"|\d++[A-Za-z]++\d\w*+"
    r"|[a-fA-F]{12,}+(?!\w)"
    r"|\w++\(\)"
    r")|\A--?[A-Za-z][\w\-]*+(?:=[^\s,;]++)?"
    r"|(?<![\w@#$])[@#$][A-Za-z_][\w\-]*+"
    r"|\$\{\w{1,64}\}|</?[A-Za-z][^<>\s]{0,80}>"
)
EMAIL = re.compile(r"(?<![\w.+\-])[\w.+\-]++@[\w\-]++(?:\.[\w\-]++)++")
URL = re.compile(
    r"(?<![A-Za-z0-9+.\-])(?:[A-Za-z][A-Za-z0-9+.\-]{1,15}://|www\.|mailto:|urn:|doi:)[^\s<>\"'`|]++"
)
PATH = re.compile(
    r"(?<![\w.\-/~\\@+])(?:~?/|\.{1,2}/)?[\w.\-@+]++(?:/[\w.\-@+]++)++/?|(?<![\w.\-/~\\@+])~?/[\w.\-@+]++/?"
    r"|(?<![\w./\-])[\w\-]++(?:\.[\w\-]++)++"
    r"|(?<!\w)[A-Za-z]:\\[^\s:*?\"<>|]*+|(?<![\w\\])\\\\[\w.\-$\\]++"
)
_FILE = re.compile(
    r"\.(?:py|md|txt|rst|json[lc]?|ya?ml|toml|ini|cfg|conf|csv|tsv|html?|css|jsx?|tsx?|c|h|cc|cpp|hpp|rs|go|java|kt|rb"
    r"|php|sh|bat|ps1|sql|xml|pdf|docx?|xlsx?|pptx?|png|jpe?g|gif|svg|zip|tar|gz|bz2|log|lock|env|exe|dll|so|ipynb"
    r"|safetensors|onnx|gguf|parquet)$",
    re.IGNORECASE,
)
INLINE_CODE = re.compile(r"`(?<!``)[^`\n]++`(?!`)")
INLINE_CODE_TWICE = re.compile(r"``(?<!```)(?!`)(?:[^`\n]|`(?!`))++``(?!`)")

_AFTER = (
    r"(?:be|been|being|have|has|had|a|an|the|to|so|very|yet|longer|more|any|all|always|only|just|even|really|quite|too"
    r"|in|at|by|for|of|on|with|it|is|was|also|ever|one|necessarily|currently)"
)
NEGATING = re.compile(
    r"(?<![\w'’])(?:no|not|never|none|nor|neither|without|cannot|nobody|nothing|nowhere|hardly|scarcely|barely|seldom"
    r"|unless|except|[a-z]{1,9}n['’]t)(?![\w'’\-])",
    re.IGNORECASE,
)
"""A word that negates."""
NEGATED = re.compile(
    rf"(?:\s{{1,2}}{_AFTER}(?![\w'’\-])){{0,3}}+(?:\s{{1,3}}[(\"“‘*_`]{{0,2}}[^\W_][\w'’\-]{{0,47}})?",
    re.IGNORECASE,
)
"""What follows it, up to the word that it negates."""
DATING = re.compile(rf"\d|(?i:{_MONTH}|spring|summer|autumn|fall|winter|early|late|mid)(?!\w)")
"""What a date begins with."""


@lru_cache(maxsize=16)
def quotations(characters: int) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """By opening mark: text of up to `characters` between quotation marks, within one paragraph."""

    def inner(marks: str) -> str:
        return rf"(?:[^{marks}\n]|\n(?!\n)){{1,{characters}}}+"

    pairs = [(mark[0], mark[0] + inner(mark) + mark[-1]) for mark in ("“”", "«»", "‹›", "「」", "『』")]
    low = ("„", "„" + inner("„“”") + "[“”]")
    straight = ('"', r'"(?<!\w")(?=\S)' + inner('"') + r'(?<=\S)"(?!\w)')
    single = ("‘", rf"‘(?=\S)(?:[^‘’\n]|’(?=\w)){{1,{characters}}}+’(?!\w)")
    return tuple((mark, re.compile(pattern)) for mark, pattern in (*pairs, low, straight, single))


def is_path(found: str) -> bool:
    """Whether a run of names and slashes is a path or a file's name, and no "and/or"."""
    if "\\" in found or found.startswith(("~/", "./", "../")):
        return True
    if found.startswith("/"):
        return len(found) > 2
    return found.count("/") >= 2 or _FILE.search(found) is not None
