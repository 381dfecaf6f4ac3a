"""Which subject and slot a question asks about. Knows no memory, no index and no language model."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from actors.memory.claims import framed
from actors.memory.clauses import ADVERBS, MARKS, Clause, clause_of
from actors.memory.constructions import Context, constructed
from actors.memory.frames import LEMMAS, entries, verb_slot
from actors.memory.slots import EVENTS, PETS, is_being, is_known, is_time, slot_name
from actors.memory.subjects import Named, named, named_at


@dataclass(frozen=True, slots=True)
class Asked:
    """A slot of a subject that is asked for; `past`: what it was before, not what it is."""

    subject: str
    slot: str
    past: bool = False


_LEAD = re.compile(
    r"^.*?\b(?=(?:what|which|who|whom|whose|where|when|how)\b)|^(?:(?:please|can|could|would|will|do|you|"
    r"tell|me|remind|us|give|mind|telling|show|again|hey|hi|ok|so|and|know|happen|to|ever|remember|recall|"
    r"say|of|about|the following|"
    r"i need|i want|i would like|i forgot|look up|find)\b[\s,:]*)+",
    re.IGNORECASE,
)
_TELLING = re.compile(
    r"\b(?:did|have|had) I (?:ever |just |once |already )?(?:say|said|tell you|told you|mention|mentioned|"
    r"tell)\b(?: that)?"
    r"|^what (?:do|did) (?:you|we) (?:have|know|note|store|remember|save|put|record|keep)\w*(?: on file|"
    r" down| stored| noted| recorded| saved)?"
    r" (?:as|for|about|under)\b|\b(?:do you think|did you say|again|would you say|is it that)\b",
    re.IGNORECASE,
)
_AGAIN = re.compile(r"\b(?:was|were)\b(?=.*\bagain\W*$)", re.IGNORECASE)
"""What is asked for anew with `was`: "What was my locker number again?"."""
_WAS = re.compile(r"\s(?:was|were)\s*$")
_THEN_WHAT = re.compile(
    r"[,;.]?\s*(?:what|which|who|where|when|how)(?:'s| was| is| are| were) (?:it|that|they|he|she)(?"
    r": again)?$",
    re.I,
)
_THE_ONE = re.compile(
    r"^(what|which|who)(?: is|'s|’s) the ([\w ]+?) (?:that |where |which |who |in which |at which )?"
    r"((?-i:I\b|we\b|[A-Z][a-z]+)) ((?!is\b|was\b|'s|now\b)(?:(?<=I )|(?<=we )|(?=[a-z]+s\b)).+)$",
    re.I,
)
_NOW = re.compile(
    r"(?:[\s,]+(?:these days|at the moment|right now|currently|now|nowadays|at present|today|again|please|"
    r"as of now|presently))+$",
    re.IGNORECASE,
)
_PAST = re.compile(
    r"\b(?:before|previously|used to|former|formerly|old|previous|ex|originally|earlier|prior|in the past|"
    r"back then|was|were"
    r"|had|last|no longer)\b",
    re.IGNORECASE,
)
_PRESENT = re.compile(
    r"\bhow old\b|\bold am\b|\blast name\b|\b(?:was|were) \w+ born\b|\byears old\b|\bbefore (?:noon|"
    r"work)\b",
    re.IGNORECASE,
)
_FIXED = (
    (
        re.compile(r"\bcalls? me\b|\bI be (?:called|addressed)\b|\baddress me\b", re.IGNORECASE),
        ("nickname", "name"),
    ),
    (re.compile(r"^who am I$", re.IGNORECASE), ("name",)),
    (re.compile(r"\b(?:eat|diet|cook for me|avoid eating)\b", re.IGNORECASE), ("diet", "avoids", "allergy")),
    (
        re.compile(r"\b(?:who|what company|which company|whoever) (?:employs|pays) me\b", re.IGNORECASE),
        ("employer",),
    ),
    (re.compile(r"\b(?:make (?:a|my) living|for a living|for work)\b", re.IGNORECASE), ("job",)),
    (re.compile(r"\bI have a (?:job|position)\b|\bhired me\b", re.IGNORECASE), ("employer",)),
    (re.compile(r"\bwho (?:manages|supervises|leads) me\b", re.IGNORECASE), ("manager",)),
    (
        re.compile(r"\b(?:do|should|can|may) you (?:reach|contact|text|phone|ring) me\b", re.IGNORECASE),
        ("phone", "email"),
    ),
    (re.compile(r"\b(?:e-?mail|write to) me\b", re.IGNORECASE), ("email",)),
    (re.compile(r"\b(?:allerg|intoleran)", re.IGNORECASE), ("allergy",)),
)
_WH = frozenset(["what", "which", "who", "whom", "whose", "where", "when", "how"])
_BE = frozenset(["is", "are", "am", "was", "were", "be", "been"])
_DO = frozenset(
    ["do", "does", "did", "have", "has", "had", "can", "should", "will", "would", "could", "cannot"]
)
_RELATED = dict(
    entries(
        """
home: address, place
address: home
name: nickname
nickname: name
job: employer
spouse: partner
partner: spouse
roommate: spouse, partner
phone: phone model, email
favorite team: team
team: favorite team
nationality: hometown
hometown: birthplace, home
birthplace: hometown
diet: avoids, allergy
pet: dog, cat
kid: son, daughter
allergy: avoids
own: car
learning: language, instrument
native language: language
language: learning, native language
avoids: allergy, diet, dislikes
platform: provider
manager: boss
employer: job
location: home
city: home
country: home
birthday: age
school: major
"""
    )
)
"""Slots in which the answer may stand too."""


_PLACES = frozenset(
    ["home", "country", "room", "building", "place", "street", "floor", "drawer", "location", "shelf"]
)


def asked(question: str, speaker: str = "") -> tuple[Asked, ...]:
    """What a question asks for, the likeliest first; empty where it asks for no slot that can be named.

    Example: asked("What's Alice's phone number?") begins with Asked("alice", "phone").
    """
    me = speaker.strip().lower() or "user"
    question = _AGAIN.sub(lambda was: {"was": "is", "were": "are"}[was[0].lower()], question)
    question = _THE_ONE.sub(r"\1 \2 does \3 \4", _THEN_WHAT.sub("", question.strip().rstrip("?!. ")))
    told, tellings = _TELLING.subn(" ", _NOW.sub("", question))
    clause = clause_of(_WAS.sub("", told) if tellings else told)
    past = _PAST.search(_PRESENT.sub("", clause.text)) is not None
    found: dict[tuple[str, str], None] = {}
    for subject, slot in _places(clause, me):
        if slot:
            found.setdefault((subject, slot))
    for subject, slot in list(found):
        for other in _near(subject, slot):
            found.setdefault(other)
    return tuple(Asked(subject, slot, past) for subject, slot in found)


def _near(subject: str, slot: str) -> Iterator[tuple[str, str]]:
    """Slots in which the same may be stated in another way."""
    for other in _RELATED.get(slot, ()):
        yield subject, other
    head, _, last = slot.rpartition(" ")
    if last in ("time", "place") and head:
        yield subject, head
        yield subject, f"{head} {'place' if last == 'time' else 'location'}"
    elif last in ("date", "day", "hour", "start") and head:
        yield subject, f"{head} time"
        yield subject, head
    elif last in ("address", "location") and head:
        yield subject, f"{head} place"
    elif last in EVENTS:
        yield subject, f"{slot} time"
        yield subject, f"{slot} place"
    if not is_known(slot) and last not in ("time", "place"):
        yield subject, f"{slot} place"
        yield subject, f"{slot} time"
    if is_being(slot):
        yield f"{subject}'s {slot}", "name"
    if slot.startswith("favorite "):
        yield subject, slot.removeprefix("favorite ")
    else:
        yield subject, f"favorite {slot}"


def _places(clause: Clause, me: str) -> Iterator[tuple[str, str]]:
    """Candidates (subject, slot), the likeliest first."""
    for pattern, slots in _FIXED:
        if pattern.search(clause.text):
            yield from ((me, slot) for slot in slots)
    lead = _LEAD.match(clause.text)
    at = clause.at_offset(lead.end()) if lead is not None else 0
    word = clause.lower(at)
    if word in ("in", "at", "on", "to", "for", "from", "by", "with") and clause.lower(at + 1) in _WH:
        at, word = at + 1, clause.lower(at + 1)
    if word in _WH:
        yield from _of_wh(clause, at, me)
    elif word in _BE or word in _DO:
        yield from _of_yes_or_no(clause, at, me)
    whole = _phrase(clause, at, me)
    if whole is not None and whole.parts and word not in _WH:
        yield whole.place
    for place in range(len(clause.tokens)):
        found = named_at(clause, place, me)
        if found is not None and found[0].parts:
            yield from _by_wh(word, found[0])


def _phrase(clause: Clause, at: int, me: str) -> Named | None:
    """A noun phrase that is the whole question: `my phone number`."""
    if at >= len(clause.tokens):
        return None
    found = named_at(clause, at, me)
    return found[0] if found is not None else named(f"my {clause.after(at)}", me)


def _of_wh(clause: Clause, at: int, me: str) -> Iterator[tuple[str, str]]:
    wh = {"whom": "who", "which": "what", "whose": "what"}.get(clause.lower(at), clause.lower(at))
    verb = at + 1
    while (
        verb < len(clause.tokens)
        and clause.lower(verb) not in _BE | _DO
        and clause.tokens[verb].text not in MARKS
    ):
        verb += 1
    subject = named_at(clause, at + 1, me)
    if subject is not None and subject[1] <= len(clause.tokens) and clause.lower(at + 1) not in _BE | _DO:
        yield from _embedded(clause, wh, *subject)
    if verb >= len(clause.tokens):
        return
    noun = clause.between(at + 1, verb)
    after = verb + 1
    while clause.lower(after) in ADVERBS and clause.lower(after) != "no":
        after += 1
    found = named_at(clause, after, me, auxiliary=clause.lower(verb)) or _bare_noun(clause, after, me)
    if found is None:
        return
    who, end = found
    if noun:
        yield from _of_noun(clause, wh, noun, who, end)
    yield from _asked_of(clause, wh, who, end, clause.lower(verb))


def _bare_noun(clause: Clause, at: int, me: str) -> tuple[Named, int] | None:
    """`lunch` in "When is lunch?"."""
    if at >= len(clause.tokens):
        return None
    who = named(f"the {clause.after(at)}", me)
    return (
        (who, len(clause.tokens))
        if who is not None and who.parts and clause.lower(at) not in ADVERBS
        else None
    )


def _embedded(clause: Clause, wh: str, who: Named, end: int) -> Iterator[tuple[str, str]]:
    """The question within `tell me where I live` and `what my sister's name is`."""
    while clause.lower(end) in ADVERBS:
        end += 1
    if clause.lower(end) in _BE and who.parts:
        yield from _by_wh(wh, who)
    else:
        yield from _asked_of(clause, wh, who, end, "")


def _by_wh(wh: str, who: Named) -> Iterator[tuple[str, str]]:
    if not who.parts:
        yield who.root, {"where": "home", "when": "birthday", "who": "name"}.get(wh, "name")
        return
    subject, slot = who.place
    if wh == "where":
        yield (who.subject, "home") if is_being(slot) else (subject, f"{slot} place")
    elif wh == "when" and not is_time(slot):
        yield subject, f"{slot} time"
    yield subject, slot


def _asked_of(clause: Clause, wh: str, who: Named, end: int, be: str) -> Iterator[tuple[str, str]]:
    """The slot by the question word and the verb; by the subject alone where there is no verb."""
    while clause.lower(end) in ADVERBS or clause.lower(end) in ("used", "to"):
        end += 1
    lemmas = clause.lemmas[end:]
    verb = lemmas[0] if lemmas else ""
    if verb in ("keep", "store", "put", "leave", "park", "hide", "place", "find", "look") and wh == "where":
        thing = named_at(clause, end + 1, who.root)
        if thing is not None and thing[0].parts:
            yield thing[0].place[0], f"{thing[0].place[1]} place"
    if verb in ("call", "name", "have", "get") and (lemmas[1:] and wh in ("what", "when", "where")):
        thing = named_at(clause, end + 1, who.root)
        if thing is not None and thing[0].parts:
            yield from _by_wh("when" if wh == "what" and be == "" else wh, thing[0])
    if verb in ("take", "like", "drink", "have", "prefer", "want") and wh == "how" and len(lemmas) > 2:
        yield who.subject, f"{slot_name(clause.lower(end + 2))} style"
    if verb == "use" and "for" in lemmas:
        yield who.root, slot_name(clause.after(end + lemmas.index("for") + 1))
    if verb in ("use", "have", "want", "pick", "choose") and "as" in lemmas:
        yield who.root, slot_name(clause.after(end + lemmas.index("as") + 1))
    if (verb == "prefer" or "rather" in lemmas) and "or" in lemmas:
        one, other = clause.lower(end + lemmas.index("or") - 1), clause.lower(end + lemmas.index("or") + 1)
        yield who.subject, f"preference {'/'.join(sorted((one.rstrip('s'), other.rstrip('s'))))}"
    slot = verb_slot(wh, lemmas, who.being)
    if slot:
        yield (who.subject, slot) if who.being else (who.root, slot_name(f"{who.thing} {slot}"))
    if who.parts and (not lemmas or be in _BE):
        if verb in ("call", "named", "name"):
            yield who.place
            yield who.root, f"{who.thing} name"
        else:
            yield from _by_wh(wh, who)
    elif not who.parts and not lemmas and be in _BE:
        yield from _by_wh(wh, who)


def _of_noun(clause: Clause, wh: str, noun: str, who: Named, end: int) -> Iterator[tuple[str, str]]:
    """`what car do I drive`, `which port does the server use`, `how old am I`, `what time is my flight`."""
    words = noun.lower().split()
    lemmas = clause.lemmas[end:]
    subject = who.subject
    if wh == "how":
        yield from _how(words, who, lemmas)
        return
    slot = slot_name(re.sub(r"^(?:kind|type|sort|style) of ", "", noun, flags=re.IGNORECASE))
    if any(verb in lemmas for verb in ("like", "love", "enjoy", "prefer", "best", "most")):
        yield subject, slot_name(f"favorite {noun}")
    if who.parts and not who.being:
        base, thing = who.place
        if slot in ("time", "day", "date", "hour"):
            yield base, thing if is_time(thing) else f"{thing} time"
        if slot in _PLACES:
            yield base, f"{thing} place"
        yield who.subject, slot_name(f"{who.thing} {noun}")
        yield base, thing
        return
    if lemmas and lemmas[0] == "wear" and "size" in words:
        yield subject, "shoe size"
    for at in range(end, len(clause.tokens) - 1):
        other = (
            named_at(clause, at + 1, who.root)
            if clause.lower(at) in ("for", "on", "of", "have", "get")
            else None
        )
        if other is not None and other[0].parts:
            yield (
                other[0].place[0],
                f"{other[0].place[1]} {'time' if slot in ('time', 'hour', 'day') else slot}",
            )
    if slot == "number" and who.being:
        yield subject, "phone"
    known = verb_slot(wh, lemmas, who.being)
    if slot in ("time", "hour", "day") and lemmas:
        known = verb_slot("when", lemmas, who.being) or known
    yield subject, slot
    if known:
        yield subject, known


def _how(words: list[str], who: Named, lemmas: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    subject = who.subject
    first = words[0]
    if first == "old":
        yield (subject, "age") if who.being else (who.root, f"{who.thing} age")
    elif first in ("tall", "high"):
        yield subject, "height"
    elif first == "heavy":
        yield subject, "weight"
    elif first == "many" and len(words) > 1:
        yield subject, f"number of {slot_name(' '.join(words[1:]))}"
        yield subject, slot_name(" ".join(words[1:]))
    elif first == "much":
        rest = set(lemmas)
        slot = next((name for name in ("rent", "salary", "tax") if name in rest), "")
        slot = slot or verb_slot("how", lemmas, who.being)
        if slot:
            yield subject, slot
        if who.parts:
            yield who.place
            yield who.root, f"{who.thing} price"


def _of_yes_or_no(clause: Clause, at: int, me: str) -> Iterator[tuple[str, str]]:
    """`Do I live in Porto?`, `Am I vegan?`: as the statement that it asks about."""
    verb = clause.lower(at)
    found = named_at(clause, at + 1, me, auxiliary=verb)
    if found is None:
        return
    who, end = found
    if "or" in clause.lemmas[end:]:
        yield from _asked_of(clause, "what", who, end, verb)
    rest = clause.after(end)
    if not rest:
        return
    name = clause.between(at + 1, end)
    aux = (
        ""
        if verb in ("do", "does", "did", "can", "would", "should", "will", "could", "cannot")
        else f"{verb} "
    )
    turned = clause_of(f"{name} {aux}{rest}".replace(" any ", " a "))
    if LEMMAS.get(rest.split()[0].lower()) == "have" and len(rest.split()) > 1:
        yield who.subject, slot_name(re.sub(r"^\w+\s+(?:any|a|an)?\s*", "", rest))
    made = constructed(turned.text, Context(me))
    said = framed(turned, turned.at_offset(len(name) + 1), who)
    for claims, _ in filter(None, (made, said)):
        for claim in claims:
            yield claim.subject, claim.slot
    if who.parts:
        yield who.place
        if who.parts[-1] in PETS:
            yield who.subject, "name"
