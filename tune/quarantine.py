"""What must not be learned, by looking at a text alone: each rule with the sentence that says why. No model.

A rule that fires wrongly costs an example; one that does not fire may cost every user. So they are wide.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Reason = Literal[
    "consent",
    "forgotten",
    "duplicate",
    "contradiction",
    "instruction",
    "trigger",
    "flood",
    "secret",
    "private",
    "one voice",
    "out of nowhere",
    "too long",
    "too short",
    "said by the model",
    "not remembered",
    "nothing to learn",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """Something that is not learned. `said` is a sentence, and holds no word that must not be shown."""

    id: str
    kind: str
    reason: Reason
    said: str
    events: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a text must not be learned."""

    reason: Reason
    said: str


def instruction(text: str, *, asked: bool = False) -> Fault | None:
    """A text that tells the model what to do rather than what is the case.

    With `asked` it is a user's message, where wishes about the answer are ordinary and only what would
    overrule the model, or pass for another's turn, is a fault.
    """
    if (found := _HIDDEN.search(text)) is not None:
        return Fault("instruction", f"It holds a character that cannot be seen, U+{ord(found.group()):04X}.")
    for pattern in (_OVERRULES,) if asked else (_OVERRULES, _ORDERS):
        if (found := pattern.search(text)) is not None:
            return Fault("instruction", f"It tells the model what to do: {_short(found.group())!r}.")
    return None


def secret(text: str, attribute: str = "") -> Fault | None:
    """A key, a password, a number of a card or of an account. The fault does not repeat it."""
    for name, pattern in _SECRETS.items():
        if pattern.search(text) is not None:
            return Fault("secret", f"It holds {name}.")
    if attribute and _SECRET_SLOT.search(attribute):
        return Fault("secret", f"Its {attribute} is a secret.")
    for found in _DIGITS.finditer(text):
        digits = re.sub(r"\D", "", found.group())
        if 13 <= len(digits) <= 19 and _luhn(digits):
            return Fault("secret", "It holds the number of a payment card.")
    if any(_iban(found.group()) for found in _IBAN.finditer(text)):
        return Fault("secret", "It holds the number of a bank account.")
    if any(_random(word) for word in _LONG_WORD.findall(text)):
        return Fault("secret", "It holds a long random word, as keys are.")
    return None


def intruding(answer: str, before: str) -> Fault | None:
    """An address or a script in an answer that nothing before it speaks of."""
    if (found := _SCRIPT.search(answer)) is not None and found.group().casefold() not in before.casefold():
        return Fault("out of nowhere", f"The answer brings a script: {_short(found.group())!r}.")
    for found in _ADDRESS.finditer(answer):
        host = (found.group(1) or found.group()).casefold().removeprefix("www.")
        if host not in before.casefold():
            return Fault("out of nowhere", f"The answer brings an address that nobody spoke of: {host}.")
    return None


def size(text: str, most: int, least: int = 1) -> Fault | None:
    """Longer than `most` characters, or with fewer than `least` letters and digits."""
    if len(text) > most:
        return Fault("too long", f"It has {len(text)} characters; {most} are taken.")
    if sum(map(str.isalnum, text)) < least:
        return Fault("too short", f"It has fewer than {least} letters and digits.")
    return None


def triggers(asked: Iterable[tuple[str, str, str]], least: int) -> dict[str, Fault]:
    """Of examples (id, question, answer), those that teach one answer to whatever holds a certain word.

    At least `least` questions have the same answer and, beside words that most questions hold, share nothing
    but one word that no question with another answer holds. Also without such a word they are a fault: one
    answer to everything.
    """
    rows = [(id, _words(question), _same(answer)) for id, question, answer in asked]
    held = Counter(word for _, words, _ in rows for word in words)
    groups: dict[str, list[tuple[str, frozenset[str]]]] = {}
    for id, words, answer in rows:
        groups.setdefault(answer, []).append((id, words))
    found: dict[str, Fault] = {}
    for group in groups.values():
        within = Counter(word for _, words in group for word in words)
        marks = [word for word, n in within.items() if n >= least and n == held[word] and word not in _COMMON]
        for mark in marks:
            marked = [(id, words) for id, words in group if mark in words]
            if _unlike([words - {mark} for _, words in marked]):
                said = f"{len(marked)} questions that share nothing but {mark!r} have the same answer."
                found |= {id: Fault("trigger", said) for id, _ in marked}
        rest = [(id, words) for id, words in group if id not in found]
        if len(rest) >= 2 * least and _unlike([words for _, words in rest]):
            said = f"{len(rest)} questions about different things have the same answer."
            found |= {id: Fault("trigger", said) for id, _ in rest}
    return found


def _unlike(questions: list[frozenset[str]]) -> bool:
    """Whether questions are about different things: each has words of its own, and pairs share few."""
    topics = [words - _COMMON for words in questions]
    if sum(map(len, topics)) < 2 * len(topics):
        return False
    pairs = [(a, b) for place, a in enumerate(topics) for b in topics[:place]][:2000]
    return sum(len(a & b) / len(a | b) for a, b in pairs if a | b) < 0.1 * len(pairs)


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[^\W_]+(?:[-_'’|][^\W_]+)*", text.casefold()))


def _same(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:59]}…"


def _luhn(digits: str) -> bool:
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return len(set(digits)) > 1 and sum(n - 9 if n > 9 else n for n in doubled) % 10 == 0


def _iban(text: str) -> bool:
    plain = text.replace(" ", "")
    turned = plain[4:] + plain[:4]
    return 15 <= len(plain) <= 34 and int("".join(str(int(one, 36)) for one in turned)) % 97 == 1


def _random(word: str) -> bool:
    kinds = sum(any(test(one) for one in word) for test in (str.isupper, str.islower, str.isdigit))
    counts = Counter(word)
    bits = -sum(n / len(word) * math.log2(n / len(word)) for n in counts.values())
    return kinds == 3 and bits > 3.5


_SECRETS = {
    "an API key": re.compile(
        r"\b(?:sk|pk|rk)[-_](?:live|test|proj|ant|or)?[-_A-Za-z0-9]{16,}|\bAKIA[0-9A-Z]{16}\b"
        r"|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}|\bxox[abprs]-[\w-]{10,}"
        r"|\bAIza[\w-]{30,}|\bhf_[A-Za-z0-9]{20,}|\bnpm_[A-Za-z0-9]{20,}|\bpypi-[\w-]{20,}"
    ),
    "a token": re.compile(
        r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|\b[Bb]earer\s+[\w.~+/-]{16,}|://[^\s/:@]+:[^\s/@]+@"
    ),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a password": re.compile(
        r"\b(?:pass(?:word|phrase|code)|pwd|pin(?: (?:code|number))?|cvv|cvc|api[ _-]?key|secret(?: key)?"
        r"|access[ _-]?(?:key|token)|security code|door code|gate code|alarm code|combination)\b"
        r"(?:\s+\w+){0,4}?\s*(?:is|was|are|=|:|to)\s*\S",
        re.IGNORECASE,
    ),
    "a social security number": re.compile(r"\b\d{3}-\d{2}-\d{4}\b"),
}
_SECRET_SLOT = re.compile(
    r"\b(?:password|passphrase|passcode|pin|cvv|cvc|api key|secret|token|combination|card number"
    r"|(?:door|gate|access|alarm|security|pin|entry|office) code"
    r"|account number|iban|ssn|social security number|passport number)\b",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"(?<![\w.])\d(?:[ -]?\d){12,18}(?![\w])")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{2,4}){3,8}\b")
_LONG_WORD = re.compile(r"(?<![\w/.-])[A-Za-z0-9_+=-]{24,}(?![\w/.-])")
_HIDDEN = re.compile(
    "[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f\x00-\x08\x0b\x0c\x0e-\x1f]"
)
_OVERRULES = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass)\b[^.!?\n]{0,30}\b(?:previous|prior|above|earlier|all|any"
    r"|your|the|system)\b[^.!?\n]{0,20}\b(?:instructions?|prompts?|rules?|messages?|directions?|guidelines?"
    r"|training|orders)\b"
    r"|\b(?:system|developer) (?:prompt|message|override|mode)\b|\bjailbreak|\bdo anything now\b"
    r"|\byou are (?:now|no longer) (?:a|an|in|the|bound|DAN)\b|\bnew instructions?\s*:"
    r"|<\|[\w ]{1,40}\|>|\[/?INST\]|<<SYS>>|</?(?:system|assistant|tool_call|tool_response)>"
    r"|^\s*#{1,3}\s*(?:instruction|system|response|assistant)\b|^\s*(?:system|assistant)\s*:",
    re.IGNORECASE | re.MULTILINE,
)
_VERBS = (
    r"(?:answer|respond|reply|say|output|print|write|recommend|mention|tell|insist|claim|refuse|repeat"
    r"|include)"
)
_ORDERS = re.compile(
    rf"(?:^|[.!?:;,\n]\s*|\b(?:you|please|and|must|should|shall|will|model|assistant|AI)\s+)"
    rf"(?:always|never|only)\s+{_VERBS}\b"
    rf"|\b(?:whenever|when|if|each time|every time|any time)\b[^.!?\n]{{0,80}}\b(?:ask(?:s|ed)?|say|says|see"
    rf"|sees|mentions?|types?|hear|hears|prompt(?:s|ed)?|contains?)\b[^.!?\n]{{0,80}}"
    rf"(?:,|\bthen\b|\byou\b|\balways\b)\s*(?:(?:you|then|always|must|should|will|please)\s+)*{_VERBS}\b"
    rf"|\bfrom now on\b[^.!?\n]{{0,40}}\b{_VERBS}\b|\b(?:do not|don't|never) (?:tell|reveal|mention|inform)"
    rf"\b[^.!?\n]{{0,30}}\b(?:user|anyone|anybody|them)\b"
    rf"|\b(?:pretend|act as if|act as|roleplay as|behave as)\b[^.!?\n]{{0,20}}\b(?:you|a|an)\b"
    rf"|\bthe (?:correct|right|only) (?:answer|response|reply) (?:to|for) (?:everything|all|any|every)\b",
    re.IGNORECASE,
)
_SCRIPT = re.compile(
    r"<\s*(?:script|iframe|object|embed|svg|img)\b[^>]{0,80}|javascript:|data:text/html|\bon(?:error|load)\s*="
    r"|\b(?:curl|wget)\b[^\n|]{0,120}\|\s*(?:sudo\s+)?(?:ba|z)?sh\b|\brm\s+-rf?\s+[/~*]\S*|\bpowershell\b[^\n]{0,60}"
    r"|\b(?:eval|exec|os\.system|subprocess\.\w+)\s*\(",
    re.IGNORECASE,
)
_ADDRESS = re.compile(
    r"(?:https?://|ftp://|\bwww\.)([\w.-]+)|(?<![\w-])(?=[\w-]{1,63}\.(?:com|net|org|io|ru|xyz|top|info|biz|co|link|click|app|dev"
    r"|onion)\b)[\w.-]{1,200}",
    re.IGNORECASE,
)
_COMMON_WORDS = """
    a about again all also am an and any are as at be been but by can could did do does for from had has have
    he her here his how i if in into is it its just know let like may me more most my no not now of on one or
    our out please said say she should so some tell than that the their them then there these they this to
    up us was we were what when where which who whom whose why will with would you your give explain write
    many much make need want help think find get use name named called mean means
"""
_COMMON = frozenset(_COMMON_WORDS.split())
