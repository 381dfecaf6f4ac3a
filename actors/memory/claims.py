"""What a subject, a verb and an object say of a slot. Knows no sentence border and no mood of a whole sentence."""

import re
from dataclasses import dataclass, replace

from actors.memory.clauses import ADVERBS, Clause, Tense, is_past, tense_at
from actors.memory.frames import OF_BEINGS, OF_THINGS, SKIPPED, Frame, Frames, matching
from actors.memory.predicates import is_diet, is_job, is_mood, is_name, is_vague, predicate
from actors.memory.slots import EVENTS, PETS, is_being, is_known, is_time, slot_name
from actors.memory.subjects import Named
from actors.memory.values import corrected, is_placed, is_timed, listed, value_of

_TASTES = frozenset(["likes", "dislikes", "learning"])
_LISTED = frozenset(["address", "home"])
_NOT_OBJECTS = re.compile(
    r"^(?:to|with|by|from|into|up|down|out|off|around|it|that|this|those|these|them|him|you|me|us|how|what|when|where|"
    r"why|who|if|as|for a|at home|there|here|is|was|are|were|so|too|very|really|my|our|your|his|her|their|the idea|being|and|but|all|some|"
    r"myself|working|more|less|about|over|nothing|everything|anything)\b",
    re.IGNORECASE,
)
_NOWHERE = re.compile(r"^(?:my|the|a|an|our|this|that|it|work|school|something|new)\b", re.IGNORECASE)
_DWELLING = re.compile(
    r"\b(?:house|flat|apartment|studio|condo|cottage|loft|city|town|village|countryside|suburbs?|street|avenue|road|"
    r"coast|downtown|dorm|neighbou?rhood|district|farm|island)\b",
    re.IGNORECASE,
)
_COMPANY = re.compile(
    r"\b(?:company|startup|start-up|bank|hospital|school|university|agency|firm|studio|clinic|lab|restaurant|shop|store|"
    r"government|office|myself|nonprofit|ngo|charity|library|museum|bakery|factory|cafe|café)\b",
    re.IGNORECASE,
)
_EMPLOYER = re.compile(r"^(.+?),?\s+(?:at|for|with)\s+(?:a company called\s+)?(.+)$", re.IGNORECASE)
_AS = re.compile(r"^(.+?),?\s+as\s+(?:an?\s+|the\s+|their\s+)?(.+)$", re.IGNORECASE)
_FOR_NEXT = re.compile(
    r"^(.+?) (?:for|to (?:join|work (?:at|for))) (?:a (?:new |better )?(?:job|position|role|post) (?:at|with) )?((?-i:[A-Z]).*)$",
    re.IGNORECASE,
)
_STUDIED = re.compile(r"^(.+?)\s+at\s+(.+)$", re.IGNORECASE)
_BUT = re.compile(
    r"^(.+?),? but (?:rather |now |actually |instead )?(?!(?:not|that|it|this|I|we|never|only|still|now)\b)(.+)$", re.IGNORECASE
)
_OVER = re.compile(
    r"^(?:cancell?ed|called off|off(?: the table)?|gone|over|discontinued|closed(?: down)?|dead|sold|removed|void|"
    r"shut down|no more|finished|not happening|invalid|out of date|outdated|obsolete|deleted|history|broken off|"
    r"out of business|retired|not valid|not going to happen|scrapped|wrong|incorrect|(?:not )?true)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A slot of a subject has a value, or has it no more."""

    subject: str
    slot: str
    value: str
    holds: bool = True
    single: bool = True


def framed(clause: Clause, at: int, who: Named) -> tuple[list[Claim], int] | None:
    """What the verb after a subject says, from the first token after the subject; and where its value ends."""
    tense = tense_at(clause, at)
    begun = clause.lemmas[tense.end] if tense.end < len(clause.tokens) else ""
    end = tense.end
    if begun in ("stop", "quit") and clause.lower(end + 1).endswith("ing"):
        tense, end = replace(tense, ceased=True), end + 1
    elif begun in ("start", "begin") and clause.lower(end + 1).endswith("ing"):
        end += 1
    if clause.lemmas[end : end + 2] == ("give", "up") and clause.lower(end + 2) == "being":
        begun, end = "stop", end + 1
    if begun in ("stop", "quit") and "being" in (clause.lower(end), clause.lower(end + 1)):
        start = end + 1 if clause.lower(end) == "being" else end + 2
        value, reach = value_of(clause.after(start))
        return said_of(who, value, gone=True), clause.at_offset(clause.tokens[start - 1].end + reach)
    if begun in ("become", "turn") and not tense.negated and not tense.unreal:
        value, reach = value_of(clause.after(end + 1))
        claims = said_of(who, value, gone=tense.past)
        if claims:
            return claims, clause.at_offset(clause.tokens[end + 1].start + reach)
    while clause.lower(end) in SKIPPED:
        end += 1
    tables = (OF_BEINGS, OF_THINGS) if who.being and not who.parts else (OF_BEINGS,) if who.being else (OF_THINGS,)
    for table in tables:
        found = _from_to(clause, end, table) or matching(clause.lemmas, end, table)
        if found is not None and (not found[0].passive or tense.copular or table is OF_THINGS):
            claims = _of_frame(clause, tense, end, who, *found)
            if claims is not None:
                return claims
    return _copula(clause, tense, who) if tense.copular else None


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
    value, denied = corrected(value)
    claims: list[Claim] = []
    if holds is None or tense.unreal:
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
        claims.append(Claim(who.subject, "employer" if frame.slot == "home" else "home", claims[0].value, False))
    if denied and holds:
        claims.insert(0, _placed_claim(who, replace_value(claims[0], denied), frame, False))
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


def replace_value(claim: Claim, value: str) -> tuple[str, str]:
    """The slot of a claim with another value."""
    return claim.slot, value


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
    return Claim(who.subject, slot_name(f"{thing} {slot}") if slot != "name" else f"{thing} name", value, holds)


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
    if slot in _TASTES and value and not _NOT_OBJECTS.match(value):
        return value.endswith("ing") or " " in value or not is_mood(value)
    if not value or _NOT_OBJECTS.match(value) or is_mood(value):
        return slot == "home" and _DWELLING.search(value) is not None
    named = value[0].isupper() or value[0].isdigit() or text.islower()
    checks = {
        "home": (named or _DWELLING.search(value) is not None) and not is_timed(value),
        "employer": named or _COMPANY.search(value) is not None,
        "school": named or "university" in value.lower(),
        "job": not _NOWHERE.match(value) or value.lower().startswith(("the ", "a ", "an ")),
        "diet": is_diet(value),
        "birthday": is_timed(value) or any(sign.isdigit() for sign in value),
        "medication": re.search(r"\d|\bpills?\b|\binsulin\b|\btablets?\b|\w(?:in|ol|ide|ine|am|one)$", value) is not None,
        "salary": any(sign.isdigit() for sign in value),
        "weight": any(sign.isdigit() for sign in value),
        "wake-up time": is_timed(value) or any(sign.isdigit() for sign in value),
        "bedtime": is_timed(value) or any(sign.isdigit() for sign in value),
        "port": any(sign.isdigit() for sign in value),
        "name": named,
        "spouse": named,
        "partner": named,
        "hometown": named or _DWELLING.search(value) is not None,
        "birthplace": named,
        "car": not is_timed(value),
        "team": named,
        "commute": True,
    }
    return checks.get(slot, True)


def _copula(clause: Clause, tense: Tense, who: Named) -> tuple[list[Claim], int] | None:
    if tense.end >= len(clause.tokens) or (tense.unreal and (not who.parts or "would" in clause.text)):
        return None
    event = not who.being
    value, reach = value_of(clause.after(tense.end), time=event, listed=who.several or who.place[1] in _LISTED)
    end = clause.at_offset(clause.tokens[tense.end].start + reach)
    untrue = tense.ceased or tense.negated
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
    if is_vague(slot) or (is_mood(value) and not slot.startswith("favorite ")) or (who.vague and not _telling(slot, value)):
        return []
    slot = _by_value(slot, value)
    gone = gone or who.former
    single = not who.several or slot.startswith("favorite ")
    claims = [Claim(subject, slot, one, not gone, single) for one in (listed(value) if not single else [value])]
    return [Claim(subject, slot, denied, False, single)] * bool(denied) + claims


def _telling(slot: str, value: str) -> bool:
    """Whether `the X is value` tells a fact: X is a kind of attribute, or the value a name, a number, a time."""
    return is_known(slot) or value[0].isupper() or any(sign.isdigit() for sign in value) or is_timed(value)


def _by_value(slot: str, value: str) -> str:
    """A meeting that is `on Friday` has a time, one that is `in room 4` a place."""
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
    slot = f"{slot} place" if moved and not is_known(slot) and not is_timed(value) else _by_value(slot, value)
    return [Claim(subject, slot, value, single=not who.several)]
