"""What a subject, a verb and an object say of a slot. Knows no sentence border and no sentence's mood."""

import re
from dataclasses import dataclass, replace

from actors.memory.clauses import ADVERBS, DEGREES, Clause, Tense, is_past, tense_at
from actors.memory.frames import OF_BEINGS, OF_THINGS, SKIPPED, Frame, Frames, matching
from actors.memory.predicates import is_color, is_diet, is_job, is_mood, is_name, is_vague, predicate
from actors.memory.slots import EVENTS, PETS, is_being, is_known, is_time, slot_name
from actors.memory.subjects import Named
from actors.memory.values import alone, corrected, is_placed, is_timed, listed, value_of

_TASTES = frozenset(["likes", "dislikes", "learning", "instrument", "language"])
_INSTRUMENT = re.compile(
    r"\b(?:piano|guitar|violin|viola|cello|bass|drums?|flute|clarinet|trumpet|saxophone|sax|trombone|tuba|"
    r"harp|ukulele|banjo|mandolin|oboe|bassoon|"
    r"organ|keyboards?|accordion|harmonica|recorder|horn|sitar|lute|bagpipes|percussion|synth|fiddle|"
    r"double bass|marimba|xylophone|kalimba)\b",
    re.IGNORECASE,
)
_LISTED = frozenset(["address", "home"])
_NOT_OBJECTS = re.compile(
    r"^(?:to|with|by|from|into|up|down|out|off|around|it|that|this|those|these|them|him|you|me|us|how|"
    r"what|when|where|"
    r"why|who|if|as|for a|at home|there|here|is|was|are|were|so|too|very|really|my|our|your|his|her|their|"
    r"the idea|being|and|but|all|some|"
    r"myself|working|more|less|about|over|nothing|everything|anything)\b",
    re.IGNORECASE,
)
_NOWHERE = re.compile(r"^(?:my|the|a|an|our|this|that|it|work|school|something|new)\b", re.IGNORECASE)
_DWELLING = re.compile(
    r"\b(?:house|flat|apartment|studio|condo|cottage|loft|city|town|village|countryside|suburbs?|street|"
    r"avenue|road|"
    r"coast|downtown|dorm|neighbou?rhood|district|farm|island)\b",
    re.IGNORECASE,
)
_COMPANY = re.compile(
    r"\b(?:company|startup|start-up|bank|hospital|school|university|agency|firm|studio|clinic|lab|"
    r"restaurant|shop|store|"
    r"government|office|myself|nonprofit|ngo|charity|library|museum|bakery|factory|cafe|café)\b",
    re.IGNORECASE,
)
_EMPLOYER = re.compile(r"^(.+?),?\s+(?:at|for|with)\s+(?:a company called\s+)?(.+)$", re.IGNORECASE)
_AS = re.compile(r"^(.+?),?\s+as\s+(?:an?\s+|the\s+|their\s+)?(.+)$", re.IGNORECASE)
_FOR_NEXT = re.compile(
    r"^(.+?) (?:for|to (?:join|work (?:at|for))) (?:a (?:new |better )?(?:job|position|role|post) (?:at|"
    r"with) )?((?-i:[A-Z]).*)$",
    re.IGNORECASE,
)
_STUDIED = re.compile(r"^(.+?)\s+at\s+(.+)$", re.IGNORECASE)
_BUT = re.compile(
    r"^(.+?),? but (?:rather |now |actually |instead )?"
    r"(?!(?:not|that|it|this|I|we|never|only|still|now)\b)(.+)$",
    re.IGNORECASE,
)
_OVER = re.compile(
    r"^(?:cancell?ed|called off|off(?: the table)?|gone|over|discontinued|closed(?: down)?|dead|sold|"
    r"removed|void|"
    r"shut down|no more|finished|not happening|invalid|out of date|outdated|obsolete|deleted|history|"
    r"broken off|"
    r"out of business|retired|not valid|not going to happen|scrapped|wrong|incorrect|(?:not )?true)\b",
    re.IGNORECASE,
)


_LANGUAGE = re.compile(
    r"\b(?:[A-Z][a-z]+(?:ish|ese|ian|ean|ic)|English|French|German|Dutch|Greek|Korean|Arabic|Hindi|Urdu|"
    r"Bengali|Tamil|Thai|Finnish|Swahili|"
    r"Hebrew|Turkish|Mandarin|Cantonese|Latin|Esperanto|Welsh|Irish|Basque|Catalan|Czech|Slovak|Tagalog|"
    r"Farsi|Persian|Punjabi|Zulu|Xhosa|"
    r"Yoruba|Igbo|Hausa|Quechua|Malay|Lao|Khmer|Mongolian|Nepali|Pashto|Sinhala|Telugu|Uzbek|Kazakh|"
    r"Sanskrit|sign language)\b",
    re.IGNORECASE,
)
_DWELLINGS = frozenset(["flat", "apartment", "house", "condo", "studio", "cottage"])
_MOVABLE = frozenset(
    ["office", "desk", "headquarters", "warehouse", "shop", "store", "clinic", "studio", "lab"]
)
_DIGIT = re.compile(r"\d")
_HOUR = re.compile(r"\d|noon|midnight|dawn|sunrise")
_CHECKS = {
    "medication": re.compile(r"\d|\bpills?\b|\binsulin\b|\btablets?\b|\w(?:in|ol|ide|ine|am|one)$"),
    "instrument": _INSTRUMENT,
    "language": _LANGUAGE,
    "birthday": re.compile(r"\d|(?:uary|ch|ril|May|June|July|ust|ber)\b"),
    "wake-up time": _HOUR,
    "bedtime": _HOUR,
} | dict.fromkeys(("salary", "weight", "port", "shoe size"), _DIGIT)
"""What a value of a slot holds at least."""
_NAMED_SLOTS = frozenset(
    [
        *[
            "home",
            "school",
            "name",
            "nickname",
            "spouse",
            "partner",
            "hometown",
            "team",
            "birthplace",
            "book",
            "show",
            "bank",
        ],
        "favorite team",
    ]
)
"""Slots whose values are names."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A slot of a subject has a value, or has it no more."""

    subject: str
    slot: str
    value: str
    holds: bool = True
    single: bool = True


def framed(clause: Clause, at: int, who: Named) -> tuple[list[Claim], int] | None:
    """What the verb after a subject says, from the token after the subject; and where its value ends."""
    tense = tense_at(clause, at)
    begun = clause.lemmas[tense.end] if tense.end < len(clause.tokens) else ""
    turned = _turned(clause, tense, begun, who)
    if turned is not None:
        return turned
    end = tense.end
    if (
        begun in ("switch", "go", "take")
        and clause.lower(end + 1) in ("to", "back")
        and clause.lower(end + 2).endswith("ing")
    ):
        end += 2
    if begun in ("stop", "quit", "start", "begin") and clause.lower(end + 1).endswith("ing"):
        tense = replace(tense, ceased=tense.ceased or begun in ("stop", "quit"))
        end += 1
    while clause.lower(end) in SKIPPED:
        end += 1
    tables = (OF_BEINGS,) if who.being else (OF_THINGS,)
    for table in (*tables, OF_THINGS) if not who.parts else tables:
        found = _from_to(clause, end, table) or matching(clause.lemmas, end, table)
        if found is not None and (not found[0].passive or tense.copular or table is OF_THINGS):
            claims = _of_frame(clause, tense, end, who, *found)
            if claims is not None:
                return claims
    return _copula(clause, at, tense, who) if tense.copular else None


def _turned(clause: Clause, tense: Tense, begun: str, who: Named) -> tuple[list[Claim], int] | None:
    """What `became a nurse`, `stopped being a nurse` and `gave up being a nurse` say."""
    gives_up = clause.lemmas[tense.end : tense.end + 2] == ("give", "up")
    start = tense.end + (2 if gives_up else 1)
    if begun in ("stop", "quit") or gives_up:
        if clause.lower(start) != "being" and clause.lower(tense.end) != "being":
            return None
        start, gone = start + (clause.lower(start) == "being"), True
    elif begun in ("become", "turn") and not tense.negated and not tense.unreal:
        gone = tense.past
    else:
        return None
    value, reach = value_of(clause.after(start))
    claims = said_of(who, value, gone)
    return (claims, clause.at_offset(clause.tokens[start - 1].end + reach)) if claims else None


def _from_to(clause: Clause, verb: int, table: Frames) -> tuple[Frame, int] | None:
    """The frame of `moved from A to B`: that of `moved to B`."""
    if clause.lower(verb + 1) != "from" or "to" not in clause.lemmas[verb + 2 :]:
        return None
    to = clause.lemmas.index("to", verb + 2)
    found = matching((clause.lemmas[verb], *clause.lemmas[to:]), 0, table)
    return (found[0], found[1] + to - 1) if found is not None else None


def _of_frame(
    clause: Clause, tense: Tense, verb: int, who: Named, frame: Frame, start: int
) -> tuple[list[Claim], int] | None:
    timed = frame.slot in ("time", "end time", "birthday", "wake-up time", "bedtime")
    text = _object(clause, start)
    value, reach = value_of(text, time=timed, listed=not frame.single or frame.slot in _LISTED)
    end = clause.at_offset(clause.tokens[start].start + reach) if start < len(clause.tokens) else start
    holds = _holds(frame, tense, clause, verb)
    value, denied = corrected(alone(value) if frame.single else value)
    claims: list[Claim] = []
    able = frame.slot in ("language", "instrument") and clause.lower(verb - 1) in ("can", "also")
    if holds is None or (tense.unreal and not able):
        return None
    if frame.kind == "end":
        value, claims = _left(who, value, frame)
        value = "" if re.match(r"(?:my|the|that|this|our)\b", value, re.IGNORECASE) else value
    elif not fits(frame.slot, value, clause.text):
        return None
    claims = [*(_placed_claim(who, one, frame, holds) for one in _split(frame, value)), *claims]
    if frame.kind == "end" and frame.words == ("leave",):
        if not value or not fits("home", value, clause.text):
            return None if value else ([Claim(who.subject, "employer", "", False)], end)
        claims.append(
            Claim(who.subject, "employer" if frame.slot == "home" else "home", claims[0].value, False)
        )
    if denied and holds:
        claims.insert(0, replace(claims[0], value=denied, holds=False))
    return claims, end


def _left(who: Named, value: str, frame: Frame) -> tuple[str, list[Claim]]:
    """What was left in `left A for (a job at) B`, and that B took its place."""
    found = _FOR_NEXT.match(value)
    if found is None or frame.slot != "employer":
        return value, []
    return found.group(1), [Claim(who.subject, frame.slot, found.group(2))]


def _object(clause: Clause, start: int) -> str:
    """The text from a token on, up to where `and` or a comma begins another verb of the same subject."""
    for at in range(start + 1, len(clause.tokens)):
        if clause.lower(at - 1) in ("and", ",", "but"):
            verb = at
            while clause.lower(verb) in ADVERBS:
                verb += 1
            token = clause.tokens[verb] if verb < len(clause.tokens) else None
            if token is not None and (is_past(token) or matching(clause.lemmas, verb, OF_BEINGS) is not None):
                return clause.text[clause.tokens[start].start : clause.tokens[at - 1].start]
    return clause.after(start)


def _placed_claim(who: Named, found: tuple[str, str], frame: Frame, holds: bool) -> Claim:
    slot, value = found
    if who.being and who.parts and (slot == "name" or (frame.words[0] == "answer" and who.parts[-1] in PETS)):
        return Claim(*who.place, value, holds, frame.single)
    if who.being:
        slot = {"place": "home", "time": "time"}.get(slot, slot) if not who.parts else slot
        return Claim(who.subject, slot, value, holds, frame.single)
    thing = who.thing
    if slot == "time" and not is_timed(value):
        slot = "place"
    return Claim(
        who.subject, slot_name(f"{thing} {slot}") if slot != "name" else f"{thing} name", value, holds
    )


def _split(frame: Frame, value: str) -> list[tuple[str, str]]:
    """A frame's slots and values: `engineer at Acme` is a job and an employer; lists are several values."""
    if not frame.single:
        return [(frame.slot, one) for one in listed(value)]
    halves = {"job": (_EMPLOYER, "employer"), "employer": (_AS, "job"), "major": (_STUDIED, "school")}
    pattern, other = halves.get(frame.slot, (None, ""))
    found = pattern.match(value) if pattern is not None else None
    if found is not None and (other != "job" or is_job(found.group(2))):
        return [(frame.slot, found.group(1)), (other, found.group(2))]
    if frame.slot == "birthplace" and re.match(r"\d|(?:the )?\d|\w+ \d", value):
        return [("birthday", value)]
    return [(frame.slot, value)]


def _holds(frame: Frame, tense: Tense, clause: Clause, verb: int) -> bool | None:
    """Whether a frame's value holds by its tense; None: nothing follows from it."""
    past = is_past(clause.tokens[verb]) if verb < len(clause.tokens) else False
    finished = past or tense.perfect or tense.past
    if frame.slot in _TASTES and finished and not (tense.ceased or tense.negated or tense.perfect):
        return None
    if frame.kind == "event":
        return not tense.negated
    if frame.kind == "end":
        return None if tense.negated or not (finished or tense.copular) else False
    if tense.ceased or (frame.kind == "state" and tense.negated):
        return False
    if frame.kind == "change":
        going = clause.lower(verb).endswith("ing") and not tense.perfect
        return None if tense.negated or going or not (finished or frame.passive) else True
    return tense.perfect or (tense.copular and not tense.past) or not (past or tense.past)


def fits(slot: str, value: str, text: str) -> bool:
    """Whether a value can be one of a slot whose verb is used of other things too."""
    if slot in ("likes", "dislikes", "learning") and value and not _NOT_OBJECTS.match(value):
        return (
            len(value.split()) < 7
            and not value.startswith("lot")
            and (value.endswith("ing") or " " in value or not is_mood(value))
        )
    if not value or _NOT_OBJECTS.match(value) or is_mood(value):
        return slot == "home" and _DWELLING.search(value) is not None
    named = value[0].isupper() or value[0].isdigit() or text.islower()
    check = _CHECKS.get(slot)
    if check is not None:
        return check.search(value) is not None
    if slot in _NAMED_SLOTS:
        dwelling = slot in ("home", "hometown") and _DWELLING.search(value) is not None
        return (named and not (slot == "home" and is_timed(value))) or dwelling
    if slot == "employer":
        return named or _COMPANY.search(value) is not None
    if slot == "job":
        return not _NOWHERE.match(value) or value.lower().startswith(("the ", "a ", "an "))
    return is_diet(value) if slot == "diet" else slot != "car" or not is_timed(value)


def _copula(clause: Clause, at: int, tense: Tense, who: Named) -> tuple[list[Claim], int] | None:
    if tense.end >= len(clause.tokens) or (tense.unreal and (not who.parts or "would" in clause.text)):
        return None
    event = not who.being
    if who.parts and any(clause.lower(place) in DEGREES for place in range(at, tense.end)):
        return None
    value, reach = value_of(
        clause.after(tense.end), time=event, listed=who.several or who.place[1] in _LISTED
    )
    end = clause.at_offset(clause.tokens[tense.end].start + reach)
    untrue = tense.ceased or tense.negated
    if (
        who.parts
        and untrue
        and re.match(r"(?:happening|taking place|going ahead|valid|available)\b|on$", value)
    ):
        return over(who), end
    if who.parts and not untrue and _OVER.match(value):
        return over(who), end
    instead = _BUT.match(clause.after(tense.end)) if untrue else None
    if instead is not None:
        old, new = value_of(instead.group(1), time=event)[0], value_of(instead.group(2), time=event)[0]
        claims = [*said_of(who, old, gone=True), *said_of(who, new)]
        return (claims, len(clause.tokens)) if claims else None
    claims = said_of(who, value, gone=untrue or tense.past)
    return (claims, end) if claims else None


def said_of(who: Named, value: str, gone: bool = False) -> list[Claim]:
    """What `X is value` says; with `gone` that it is not so any more, or was so once."""
    value, denied = corrected(value)
    if not value:
        return []
    if who.parts and _OVER.match(value):
        return [] if gone else over(who)
    if not who.parts:
        return _trait(who, value, gone, denied)
    subject, slot = who.place
    if is_being(slot) and not is_name(value):
        return _trait(who, value, gone, denied)
    if slot in _DWELLINGS and is_placed(value):
        where = re.sub(r"^(?:in|at|on)\s+", "", value)
        return [Claim(subject, "home", where, not (gone or who.former))]
    if (
        is_vague(slot)
        or (is_mood(value) and not (slot.startswith("favorite ") and value.endswith("ing")))
        or (who.vague and not _telling(slot, value))
    ):
        return []
    slot = _by_value(slot, value)
    gone = gone or who.former
    single = not who.several or slot.startswith("favorite ")
    claims = [
        Claim(subject, slot, one, not gone, single) for one in (listed(value) if not single else [value])
    ]
    return [Claim(subject, slot, denied, False, single)] * bool(denied) + claims


def _telling(slot: str, value: str) -> bool:
    """Whether `the X is value` tells a fact: X is an attribute, or the value a name, a number, a time."""
    return is_known(slot) or telling(value)


def telling(value: str) -> bool:
    """Whether a value is a name, a number or a time."""
    return value[0].isupper() or any(sign.isdigit() for sign in value) or is_timed(value)


def _by_value(slot: str, value: str) -> str:
    """A meeting that is `on Friday` has a time, one that is `in room 4` a place, a red car a color."""
    if is_color(value) and not slot.endswith("color") and not slot.startswith("favorite "):
        return f"{slot} color"
    if is_time(slot) or (is_known(slot) and slot.split(" ")[-1] not in EVENTS):
        if slot == "phone" and not re.search(r"\d{3}", value):
            return "phone model"
        return slot
    if is_timed(value) and (not is_known(slot) or slot.split(" ")[-1] in EVENTS or is_placed(value)):
        return f"{slot} time"
    return f"{slot} place" if is_placed(value) else slot


def _trait(who: Named, value: str, gone: bool, denied: str) -> list[Claim]:
    found = predicate(value)
    subject = who.subject
    if found is None and who.parts and re.match(r"an?\s", value) and who.parts[-1] in PETS:
        found = "breed", value
    if found is None:
        employed = _EMPLOYER.match(value)
        if employed is not None and is_job(employed.group(1)):
            return [
                Claim(subject, "job", employed.group(1), not gone),
                Claim(subject, "employer", employed.group(2), not gone),
            ]
        if not who.parts and is_name(value) and who.root == "user" and len(value.split()) <= 2:
            found = "name", value
    if found is None:
        return []
    slot, value = found
    return [Claim(subject, slot, denied, False)] * bool(denied) + [Claim(subject, slot, value, not gone)]


def over(who: Named) -> list[Claim]:
    """That something is no more: whatever its slot and its time and place held."""
    if not who.parts:
        return []
    subject, slot = who.place
    if slot.split(" ")[-1] in EVENTS:
        return [Claim(subject, f"{slot}{part}", "", False) for part in ("", " time", " place")]
    return [Claim(subject, slot, "", False)]


def changed(who: Named, value: str, moved: bool = False) -> list[Claim]:
    """That something was changed, or moved, to a value."""
    if not who.parts or not value:
        return []
    subject, slot = who.place
    if is_being(slot) and not is_name(value):
        return []
    movable = slot.split(" ")[-1] in _MOVABLE | EVENTS or re.match(r"(?:the|my|our|an?)\s", value)
    if moved and movable and not is_known(slot) and not is_timed(value):
        slot = f"{slot} place"
    else:
        slot = _by_value(slot, value)
    return [Claim(subject, slot, value, single=not who.several)]
