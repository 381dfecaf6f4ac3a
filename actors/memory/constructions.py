"""What the sentences that fit a pattern say: changes, choices, corrections, preferences. Knows no mood."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from actors.memory import patterns
from actors.memory.claims import Claim, changed, over, said_of, telling
from actors.memory.frames import lemma, verb_slot
from actors.memory.predicates import is_car, is_name
from actors.memory.slots import is_being, is_known, singular, slot_name
from actors.memory.subjects import Named, named
from actors.memory.values import corrected, is_placed, is_timed, listed, value_of


@dataclass(frozen=True, slots=True)
class Context:
    """Who says "I", who was spoken of last, which slot was, and what the sentence is about (`as for tea`)."""

    me: str
    last: str = ""
    place: tuple[str, str] = ("", "")
    topic: str = ""
    over: bool = False
    """The slot spoken of last was said to hold something no more."""


Made = list[Claim] | None


_WORDS = re.compile(r"[\w-]+|[=→][>]?|:")


def constructed(text: str, context: Context) -> tuple[list[Claim], int] | None:
    """What the pattern that a text begins with says, and how far it reached; None where none fits."""
    whole = patterns.POLITE.sub("", text).rstrip(" .!…\"'”’")
    words = frozenset(_WORDS.findall(whole.lower()))
    for pattern, made, needed in _PATTERNS:
        found = None if words.isdisjoint(needed) else pattern.match(whole)
        claims = [claim for claim in (made(found, context) or []) if claim.slot] if found is not None else []
        if claims:
            return claims, len(text)
    return None


def _np(found: re.Match[str], context: Context) -> Named | None:
    me = _me(found, context)
    return named(found.group("np").strip(), me, me if me != context.me else context.last)


def _me(found: re.Match[str], context: Context) -> str:
    """Who is spoken of: the subject before the verb; "I" where there is none."""
    who = (found.groupdict().get("who") or "").strip()
    if not who or who.lower() in ("i", "we"):
        return context.me
    if who.lower() in ("he", "she", "they"):
        return context.last or context.me
    person = named(who, context.me, context.last)
    return person.subject if person is not None and person.being else context.me


def _value(text: str, time: bool = True) -> tuple[str, str]:
    return corrected(value_of(text.strip(), time=time)[0])


def _changed(found: re.Match[str], context: Context) -> Made:
    whose = _np(found, context)
    value, _ = _value(found.group("new"))
    moved = re.search(r"\b(?:mov|relocat|transfer|shift)", found.group(0), re.I) is not None
    return changed(whose, value, moved) if whose is not None else None


def _chosen(found: re.Match[str], context: Context) -> Made:
    value, _ = _value(found.group("new"), time=False)
    noun = re.sub(r"^(?:an?|the)\s", "my ", value_of(found.group("np"))[0], flags=re.I)
    whose = named(
        noun if re.match(r"(?:my|our)\s|\w+'s\s", noun, re.I) else f"my {noun}", _me(found, context)
    )
    return changed(whose, value) if whose is not None else None


def _onto(found: re.Match[str], context: Context) -> Made:
    """`switched to a vegan diet` by the noun at its end."""
    words = _value(found.group("new"), time=False)[0].split()
    slot = slot_name(words[-1]) if len(words) > 1 else ""
    return [Claim(_me(found, context), slot, " ".join(words[:-1]))] if is_known(slot) and slot else None


def _for(found: re.Match[str], context: Context) -> Made:
    slot = slot_name(value_of(found.group("topic"))[0])
    value, _ = _value(found.group("new"), time=False)
    return (
        [Claim(_me(found, context), slot, value)]
        if slot and value and not re.match(r"it\b|that\b|this\b", value)
        else None
    )


def _reversed(found: re.Match[str], context: Context) -> Made:
    noun, _ = value_of(found.group("np"))
    whose = named(noun, context.me, context.last)
    value, _ = _value(found.group("new"))
    words = found.group("adv") or ""
    if whose is None or not whose.parts or not value or (whose.vague and not is_known(whose.place[1])):
        return None
    if is_being(whose.place[1]) and not is_name(value):
        return None
    gone = (
        found.group("be") in ("was", "were", "used to be")
        or "no" in words
        or "once" in words
        or "formerly" in words
    )
    subject, slot = whose.place
    if slot in ("favorite", "choice", "pick"):
        return None
    if whose.several and not is_known(slot):
        return None
    single = not re.search(r"\bone of\b", found.group(0))
    values = [value] if is_known(slot) else listed(value) if whose.several else [value]
    return [
        Claim(subject, slot, one, not (gone or whose.former), single and not whose.several) for one in values
    ]


def _homely(found: re.Match[str], context: Context) -> Made:
    return [Claim(_me(found, context), "home", found.group("new"))]


def _switched(found: re.Match[str], context: Context) -> Made:
    """`I changed editors from Vim to Helix`."""
    slot = slot_name(found.group("np"))
    value, _ = _value(found.group("new"), time=False)
    return [Claim(_me(found, context), slot, value)] if is_known(slot) and value else None


def _team(found: re.Match[str], context: Context) -> Made:
    return [
        Claim(
            _me(found, context),
            "team",
            found.group("new"),
            found.group("verb").lower() not in ("left", "quit"),
        )
    ]


def _commute(found: re.Match[str], context: Context) -> Made:
    return [Claim(_me(found, context), "commute", found.group("new"))]


def _port(found: re.Match[str], context: Context) -> Made:
    whose = _np(found, context)
    return (
        [Claim(whose.root, slot_name(f"{whose.thing} port"), found.group("new"))]
        if whose is not None and whose.thing
        else None
    )


def _make(found: re.Match[str], context: Context) -> Made:
    value, _ = _value(re.sub(r"\s+to replace .*$", "", found.group("new")), time=False)
    return [Claim(_me(found, context), "car", value)] if is_car(value) and len(value.split()) < 6 else None


def _reversed_by(found: re.Match[str], context: Context) -> Made:
    """`A has replaced B as my editor`."""
    whose = named(value_of(found.group("np"))[0], context.me, context.last)
    value, _ = _value(found.group("new"))
    return [Claim(*whose.place, value)] if whose is not None and whose.parts and value else None


def _relative(found: re.Match[str], context: Context) -> Made:
    """`The company I work for is Globex` by the verb, else by the noun."""
    value, _ = _value(found.group("new"))
    slot = verb_slot("", [lemma(word) for word in found.group("verb").lower().split()], True)
    slot = slot if slot and slot not in ("likes", "dislikes", "own") else slot_name(found.group("noun"))
    return [Claim(_me(found, context), slot, value)] if value and slot and is_known(slot) else None


def _cleft(found: re.Match[str], context: Context) -> Made:
    """`Porto is where I live`."""
    words = [lemma(word) for word in found.group("verb").lower().split()]
    asked = found.group("wh").lower()
    slot = verb_slot(asked if asked in ("where", "who", "when") else "what", words, True)
    value, _ = _value(found.group("new"))
    several = asked not in ("where", "who", "when", "what")
    return [Claim(_me(found, context), slot, value, True, not several)] if slot and value else None


def _one_of(found: re.Match[str], context: Context) -> Made:
    whose = _np(found, context)
    values = listed(_value(found.group("new"), time=False)[0])
    return (
        [Claim(*whose.place, one, True, False) for one in values]
        if whose is not None and whose.parts
        else None
    )


def _allergy(found: re.Match[str], context: Context) -> Made:
    return [Claim(_me(found, context), "allergy", one, True, False) for one in listed(found.group("new"))]


def _outgrown(found: re.Match[str], context: Context) -> Made:
    value = found.group("one") or found.group("two") or found.group("three")
    return [Claim(context.me, "allergy", value, False, False)]


def _liked_off(found: re.Match[str], context: Context) -> Made:
    return [Claim(context.me, "likes", value_of(found.group("new"))[0], False, False)]


def _having(found: re.Match[str], context: Context) -> Made:
    slot = slot_name(found.group("noun").split()[-1])
    value, _ = _value(found.group("new"))
    names = re.split(r",?\s+and\s+", value)
    return [Claim(_me(found, context), slot, name, True, False) for name in names if name]


def _named(found: re.Match[str], context: Context) -> Made:
    whose = _np(found, context)
    value, _ = _value(found.group("new"))
    if whose is None or not whose.parts or not value:
        return None
    subject, slot = whose.place
    return [Claim(subject, slot if is_being(slot) else f"{slot} name", value)]


def _counted(found: re.Match[str], context: Context) -> Made:
    return [Claim(_me(found, context), f"number of {slot_name(found.group('noun'))}", found.group("new"))]


def _bought(found: re.Match[str], context: Context) -> Made:
    value, _ = _value(found.group("new"))
    return [Claim(_me(found, context), slot_name(found.group("noun")), value)] if value else None


def _ended(found: re.Match[str], context: Context) -> Made:
    whose = _np(found, context)
    if whose is None or not whose.parts:
        return None
    claims = over(whose)
    if claims[0].slot == "job":
        claims.append(Claim(claims[0].subject, "employer", "", False))
    return claims


def _have_none(found: re.Match[str], context: Context) -> Made:
    slot = slot_name(found.group("noun"))
    return [Claim(_me(found, context), slot, "", False)] if slot and len(slot.split()) < 4 else None


def _pointed(found: re.Match[str], context: Context) -> Made:
    phrase = found.group("np").strip()
    owned = (
        named(phrase, context.me, context.last)
        if re.match(r"(?:my|our|the|his|her|their)\s|\w+'s\s", phrase, re.I)
        else None
    )
    whose = owned or named(f"my {phrase}", context.me)
    value, _ = value_of(found.group("new"), time=True, listed=True)
    if (
        whose is None
        or not whose.parts
        or not value
        or not (is_known(whose.place[1]) or (owned and (telling(value) or is_placed(value))))
    ):
        return None
    return said_of(whose, value) or [Claim(*whose.place, value)]


def _preferred(found: re.Match[str], context: Context) -> Made:
    value, _ = _value(found.group("new"), time=False)
    other, _ = _value(found.group("old"), time=False)
    if not value or not other:
        return None
    pair = "/".join(sorted(singular(one.lower()) for one in (value, other)))
    return [Claim(_me(found, context), f"preference {pair}", value)]


def _prefers(found: re.Match[str], context: Context) -> Made:
    value, _ = _value(found.group("new"), time=False)
    words = value.split()
    if not 1 <= len(words) <= 4 or words[0].lower() in (
        "to",
        "that",
        "if",
        "when",
        "not",
        "it",
        "being",
        "my",
        "the",
        "this",
    ):
        return None
    if len(words) == 1:
        return [Claim(_me(found, context), "preference", value, True, False)]
    return [Claim(_me(found, context), slot_name(f"favorite {words[-1]}"), " ".join(words[:-1]))]


def _best(found: re.Match[str], context: Context) -> Made:
    topic = found.group("topic") or context.topic
    value, _ = _value(found.group("new"), time=False)
    return [Claim(_me(found, context), slot_name(f"favorite {topic}"), value)] if topic and value else None


def _liked(found: re.Match[str], context: Context) -> Made:
    value, _ = _value(found.group("new"), time=False)
    noun = found.group("topic")
    return (
        [Claim(context.me, slot_name(f"favorite {noun}"), value)] if value and len(noun.split()) < 4 else None
    )


def _topic(found: re.Match[str], context: Context) -> Made:
    topic = re.sub(r"\s+(?:go|goes)$", "", found.group("topic"))
    owned = re.match(r"(?:my|our|the|his|her)\s|[\w]+'s\s", topic, re.I)
    whose = named(topic if owned else f"my {topic}", context.me, context.last)
    rest = patterns.ABOUT.match(found.group("rest"))
    if rest is None:
        return None
    told = rest.group("is") or rest.group("pick") or rest.group("fav")
    value, _ = _value(re.sub(r"\s+(?:the\s+)?(?:best|most)\b.*$", "", told), time=False)
    if whose is None or not whose.parts or not value:
        return None
    if rest.group("is"):
        return said_of(whose, value)
    subject, slot = whose.place
    return [Claim(subject, slot if is_known(slot) else slot_name(f"favorite {slot}"), value)]


def _beaten(found: re.Match[str], context: Context) -> Made:
    value, _ = _value(found.group("new"), time=False)
    return [Claim(context.me, slot_name(f"favorite {found.group('topic')}"), value)] if value else None


def _call(found: re.Match[str], context: Context) -> Made:
    value, _ = _value(found.group("new"))
    return [Claim(context.me, "nickname", value)] if is_name(value) else None


def _at_home(found: re.Match[str], context: Context) -> Made:
    return [Claim(context.me, "home", _value(found.group("new"))[0].removeprefix("in "))]


def _left_home(found: re.Match[str], context: Context) -> Made:
    return [Claim(_me(found, context), "home", _value(found.group("new"))[0], False)]


def _consider(found: re.Match[str], context: Context) -> Made:
    """`I no longer consider Vim my editor`."""
    whose = named(found.group("np").strip(), context.me, context.last)
    value, _ = _value(found.group("new"))
    gone = bool(found.group("not")) or bool(found.group("any"))
    return [Claim(*whose.place, value, not gone)] if whose is not None and whose.parts and value else None


def _kept(found: re.Match[str], context: Context) -> Made:
    whose = _np(found, context)
    value, _ = _value(found.group("new"))
    if whose is None or not whose.parts or is_timed(value):
        return None
    subject, slot = whose.place
    return [Claim(subject, f"{slot} place", value)]


def _reach(found: re.Match[str], context: Context) -> Made:
    value, _ = _value(found.group("new"))
    slot = "email" if "@" in value else "phone" if re.search(r"\d{3}", value) else ""
    whom = (
        named(found.group("whom"), context.me, context.last)
        if found.group("whom").lower() not in ("me", "us")
        else None
    )
    return [Claim(whom.subject if whom is not None else context.me, slot, value)] if slot else None


def _taken(found: re.Match[str], context: Context) -> Made:
    noun = slot_name(found.group("np").split()[-1])
    value, _ = _value(found.group("new"))
    return [Claim(_me(found, context), f"{noun} style", value)] if value else None


def _avoided(found: re.Match[str], context: Context) -> Made:
    value, _ = value_of(found.group("new"), listed=True)
    return [Claim(_me(found, context), "avoids", one, True, False) for one in listed(value)] or None


def _habit(found: re.Match[str], context: Context) -> Made:
    begun = found.group("verb").lower() in ("started", "took up", "taken up")
    value, _ = _value(found.group("new"))
    return [Claim(_me(found, context), "habit", value, begun, False)] if value else None


_Maker = Callable[[re.Match[str], Context], Made]
_LISTED: tuple[tuple[re.Pattern[str], _Maker, str], ...] = (
    (patterns.TOPIC, _topic, "when as in regarding concerning of out speaking on with among for"),
    (
        patterns.REPLACED,
        _reversed_by,
        "replaced replaces took taken succeeded succeeds supersedes superseded displaced",
    ),
    (patterns.PORT, _port, "port"),
    (patterns.COMMUTE, _commute, "work office"),
    (patterns.HOMELY, _homely, "home"),
    (patterns.SWITCHED, _switched, "changed switched moved swapped traded"),
    (patterns.TEAM, _team, "team"),
    (
        patterns.MAKE,
        _make,
        "own owns owner bought buy got have purchased leased lease picked traded swapped replaced",
    ),
    (patterns.HABIT, _habit, "quit stopped gave started took taken"),
    (patterns.CALL, _call, "call calls"),
    (patterns.RATHER, _call, "called known addressed"),
    (patterns.AT_HOME, _at_home, "home"),
    (patterns.LEFT_HOME, _left_home, "flat apartment house place home condo room studio"),
    (
        patterns.CONSIDER,
        _consider,
        "consider considers considering call calls calling count counts regard regards see sees treat treats",
    ),
    (patterns.BEING, _changed, "being"),
    (patterns.REACH, _reach, "reach contact text call email e-mail mail message write ring phone"),
    (patterns.LIKED, _liked, "like love enjoy prefer listen watch eat drink"),
    (patterns.BEATEN, _beaten, "no"),
    (patterns.CHOSEN, _chosen, "as"),
    (patterns.CHANGED, _changed, "to with for until till into as by"),
    (patterns.BECAME, _changed, "to with for until till into as by"),
    (patterns.TURNED, _changed, "became become turned"),
    (patterns.ONE_OF, _one_of, "of"),
    (patterns.ALLERGY, _allergy, "allergy allergies"),
    (patterns.REACTION, _allergy, "give gives make makes trigger triggers"),
    (patterns.OUTGROWN, _outgrown, "allergy"),
    (patterns.LIKED_OFF, _liked_off, "off interest stopped over done tired longer bored outgrew love stand"),
    (patterns.CLEFT, _cleft, "where what who when something one"),
    (patterns.RELATIVE, _relative, "is are"),
    (patterns.HAVING, _having, "called named name"),
    (patterns.NAMED, _named, "named called renamed christened"),
    (patterns.BOUGHT, _bought, "new"),
    (patterns.COUNTED, _counted, "have has own owns"),
    (patterns.KEPT, _kept, "in on under underneath at behind inside beside next near above below by"),
    (patterns.FOUND, _kept, "find"),
    (
        patterns.TAKEN,
        _taken,
        "coffee tea steak egg eggs burger burgers pizza whisky whiskey toast espresso sandwich meat "
        "rice pasta curry hair oatmeal martini",
    ),
    (patterns.PREFERRED, _preferred, "to over rather instead more than"),
    (patterns.BEST, _best, "best most all any"),
    (patterns.PREFERS, _prefers, "prefer prefers"),
    (patterns.FOR, _for, "for as"),
    (patterns.ONTO, _onto, "to"),
    (patterns.ENDED, _ended, "my our the his her their"),
    (patterns.HAVE_NONE, _have_none, "no not"),
    (patterns.AVOIDED, _avoided, "eat drink avoid have stay eating drinking cut away"),
    (patterns.REVERSED, _reversed, "is are was were become became remains be been used"),
    (patterns.POINTED, _pointed, ": = -> → —> =>"),
)
_PATTERNS = tuple((pattern, made, frozenset(words.split())) for pattern, made, words in _LISTED)
"""Patterns in the order in which they are tried, each with words of which a text must hold one."""
