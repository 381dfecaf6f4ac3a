"""Sentence patterns that say more than a subject and its verb: changes, choices, corrections, lists of one."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from actors.memory.claims import Claim, changed, over, said_of
from actors.memory.frames import lemma, verb_slot
from actors.memory.predicates import is_car, is_name
from actors.memory.slots import is_being, is_known, singular, slot_name
from actors.memory.subjects import Named, named
from actors.memory.values import corrected, is_timed, listed, value_of


@dataclass(frozen=True, slots=True)
class Context:
    """Who says "I", who was spoken of last, which slot was, and what the sentence is about (`as for tea`)."""

    me: str
    last: str = ""
    place: tuple[str, str] = ("", "")
    topic: str = ""


Made = list[Claim] | None
_WHO = r"(?P<who>(?!(?:Please|Let|Yes|No|So|Also|Turns|Just|Now|And|But|Well|Ok|Okay|Actually)\b)(?:I|we|they|he|she|(?-i:[A-Z])[\w-]+(?: (?-i:[A-Z])[\w-]+)?|my [\w-]+)\s+)"
_DONE = (
    r"(?:(?:have|has|had|just|recently|now|finally|also|already|decided to|officially|am|are|is|been|ended up|got|did"
    r"|had to|have to|needed to|managed to|was able to|today|yesterday|actually|currently|usually|always|mostly|normally|typically|personally|definitely|really|still"
    r"|went and|thus|so|then|do|absolutely)\s+)*"
)
_NP = (
    r"(?P<np>(?:(?:my|our|the|his|her|their|its)\s+|(?!(?:We|He|She|They|It|You|This|That|I|There|What|Please)\b)(?:(?-i:[A-Z])[\w-]*(?:'s|s')\s+|(?-i:[A-Z])[\w-]+\s+))"
    r"(?:(?!(?:to|from|with|is|was|are|as|has|have|into|until|for|in|on|at)\b)[\w'’/-]+\s*?(?:\s|$)){0,6}?"
    r"(?:(?:of|for) (?:my|our|the|his|her|their|(?-i:[A-Z]))[\w'’-]*(?:\s[\w'’-]+){0,2}?\s+)?)"
)
_CHANGING = (
    r"(?:chang(?:e|ed|ing)|switch(?:ed)?|updat(?:e|ed)|mov(?:e|ed)|set|reset|replac(?:e|ed)|swap(?:ped)?|rotat(?:e|ed)"
    r"|upgrad(?:e|ed)|downgrad(?:e|ed)|bump(?:ed)?|rais(?:e|ed)|lower(?:ed)?|reschedul(?:e|ed)|push(?:ed)?|postpon(?:e|ed)"
    r"|shift(?:ed)?|renam(?:e|ed)|increas(?:e|ed)|reduc(?:e|ed)|cut|convert(?:ed)?|migrat(?:e|ed)|extend(?:ed)?|dropp?e?d?"
    r"|traded in|trading in|delay(?:ed)?|brought|bring|rebook(?:ed)?|transferr?e?d?|relocat(?:e|ed)|edit(?:ed)?|correct(?:ed)?"
    r"|revis(?:e|ed)|adjust(?:ed)?|went|gone|go|turned|rebrand(?:ed)?|chang(?:e|ed) over|switch(?:ed)? over|dyed|painted|repainted)"
)
_TO = r"(?:back to|forward to|up to|down to|over to|out to|to be|to|with|for|until|till|into|as|by)"
_GONE = (
    r"(?:sold|cancell?ed|deleted|returned|lost|got rid of|gave away|given up|gave up|broke up with|broken up with|split up with|dropped"
    r"|ditched|shut down|closed|discontinued|removed|stopped using|stopped having|scrapped|quit|called off|retired"
    r"|resigned from|left|threw away|threw out|donated|scrapped|stopped|ended|terminated|fired|divorced|totaled|crashed|sell|cancel|delete|return|give up|get rid of|drop|close)"
)
_POLITE = re.compile(r"^(?:please|kindly|just|you can|so)\s+", re.I)
_CHANGED = re.compile(rf"^{_WHO}?{_DONE}{_CHANGING}\s+{_NP}(?:from\s+(?P<old>.+?)\s+)?{_TO}\s+(?P<new>.+)$", re.I)
_BECAME = re.compile(
    rf"^{_NP}(?:(?:has|have|had|was|were|is|are|got|been|just|now|recently|also|being|officially|will be|gets)\s+)*"
    rf"{_CHANGING}\s+(?:from\s+(?P<old>.+?)\s+)?{_TO}\s+(?P<new>.+)$",
    re.I,
)
_TURNED = re.compile(rf"^{_NP}(?:(?:has|have|just|now|recently|officially)\s+)*(?:became|become|turned into)\s+(?P<new>.+)$", re.I)
_CHOSEN = re.compile(
    rf"^(?:you (?:can|could|may|should) )?{_WHO}?{_DONE}(?:us(?:e|es|ed|ing)|put down|list|record|note(?: down)?|save|mark|register|enter|write down|store|remember|decided on|opted for|landed on|chosen|going with|gone with|(?:dropp?ed|ditched|swapped|abandoned|traded|replaced) .{1,40}? (?:in favou?r of|for|with)|pick(?:ed)?|chose|chosen|choose|made|select(?:ed)?|ha(?:ve|s)|want|consider|appointed"
    r"|nam(?:e|ed)|nominated|count|keep|switch(?:ed)? (?:over )?(?:from .{1,40}? )?to|mov(?:e|ed) (?:over )?(?:from .{1,40}? )?to|went with|go with|settled on|picked|hired|adopted|set|put|treat|declare|crown)"
    r"\s+(?P<new>(?!to\b).{1,60}?)\s+as\s+(?P<np>(?:my|our|the|a|an|(?-i:[A-Z])[\w-]+'s)\s+(?:new\s+)?[\w' -]{2,40})$",
    re.I,
)
_FOR = re.compile(
    rf"^{_WHO}{_DONE}(?:us(?:e|es|ing)|rel(?:y|ies) on|go(?:es)? with|went with|switched to|moved to|prefers?|have)\s+"
    r"(?P<new>.{1,40}?)\s+(?:for|as (?:my|our|the))\s+(?P<topic>(?!.*\b(?:years?|months?|weeks?|days?|hours?|reasons?)\b)(?!(?:ages|months|now|me|a|over|about|almost|the (?:last|past))\b)(?:my |our |the |all my |all )?[a-z][\w' -]{2,30})$",
    re.I,
)
_ONTO = re.compile(rf"^{_WHO}{_DONE}(?:switch(?:ed)?|chang(?:e|ed)|convert(?:ed)?|mov(?:e|ed)|went)\s+(?:over\s+|back\s+)?(?:from .+? )?to\s+(?:an?|the)\s+(?P<new>.+)$", re.I)
_REVERSED = re.compile(
    r"^(?P<new>(?!(?:my|our|the|this|that|it|he|she|they|there|here|what|which|who|I|we|you|one|these|those|his|her|their)\b)"
    r"(?:(?!\b(?:is|are|was|were)\b)[^,;:]){1,60}?)\s+(?P<be>is|are|was|were|has become|became|have become|remains|will be|used to be|has been)\s+"
    r"(?P<adv>(?:now|still|currently|officially|definitely|not|no longer|actually|really|always|probably|by far|hands down|just|also|once|"
    r"absolutely|easily|undoubtedly|without a doubt|formerly|again)\s+)*"
    r"(?P<np>(?:my|our|the|his|her|their|(?-i:[A-Z])[\w-]+'s)\s+[\w'’ -]{2,50})$",
    re.I,
)
_PORT = re.compile(r"^(?:.*?\b)?(?P<np>(?:the|our|my)\s+(?:(?!port\b)[\w'-]+\s+){1,3}?)(?:(?!port\b)\w+\s+){0,4}?(?:on|to|at|uses|using|is|over|now)\s+(?:the\s+)?port\s+(?P<new>\d+)\b", re.I)
_MAKE = re.compile(rf"^{_WHO}{_DONE}(?:own|owns|bought|buy|got|have|purchased|leased|lease|picked up|traded (?:in )?.{{2,40}}? for|swapped .{{2,40}}? for|replaced .{{2,40}}? with)\s+(?P<new>.+)$", re.I)
_FOUND = re.compile(r"^(?:you|we|one)\s+(?:will|can|could)\s+(?:always\s+|now\s+)?find\s+(?P<np>(?:my|our|the|his|her)\s+[\w' -]+?)\s+(?:now\s+)?(?P<new>(?:in|on|under|at|behind|inside|beside|next to|near|above|below|by)\s+.+)$", re.I)
_REPLACED = re.compile(r"^(?P<new>[^,;:]{1,50}?)\s+(?:has |have |had |just |recently )*(?:replac(?:ed|es)|took over from|taken over from|succeeded|succeeds|took the place of|supersedes|superseded|displaced)\s+(?P<old>.{1,50}?)\s+as\s+(?P<np>(?:my|our|the|his|her|(?-i:[A-Z])[\w-]+'s)\s+[\w'’ -]{2,40})$", re.I)
_RELATIVE = re.compile(rf"^(?:the|my)\s+(?P<noun>[\w -]{{2,30}}?)\s+(?:that\s+|which\s+|where\s+|who\s+)?{_WHO}{_DONE}(?P<verb>[\w]+(?:\s+(?:in|at|for|to|with|on|by|up at|from))?)\s+(?:(?:now|currently|most|best|these days)\s+)*(?:is|are)\s+(?:(?:now|called|named|currently)\s+)*(?P<new>.+)$", re.I)
_CLEFT = re.compile(rf"^(?P<new>(?!it\b|that\b|this\b|which\b|there\b|here\b).{{1,50}}?)\s+(?:is|are|was)\s+(?:(?:now|currently|still)\s+)*(?P<wh>where|what|who|when)\s+{_WHO}{_DONE}(?P<verb>[\w]+(?:\s+\w+)?)$", re.I)
_HAVING = re.compile(
    rf"^{_WHO}{_DONE}(?:have|has|had|got|adopted|bought|own|owns|keep|rescued|brought home|welcomed)\s+(?:a|an|another|one|my|our)\s+"
    r"(?:(?:new|little|small|big|pet|\w+-year-old|black|white|baby|lovely|rescue|second|older|younger|golden)\s+)*"
    r"(?P<noun>[a-z-]+(?: [a-z-]+)?)\s*,?\s+(?:(?:who is |that is |which is )?(?:called|named)|(?:his|her|its|their) name is|whose name is|by the name of|"
    r"and (?:his|her|its|their) name is|and (?:I|we) (?:called|named) (?:him|her|it))\s+(?P<new>.+)$",
    re.I,
)
_NAMED = re.compile(rf"^{_WHO}{_DONE}(?:named|called|renamed|christened)\s+(?P<np>(?:my|our|the|his|her|their) [a-z' -]+?)\s+(?:to\s+)?(?P<new>(?-i:[A-Z]).*)$", re.I)
_COUNTED = re.compile(
    rf"^{_WHO}{_DONE}(?:have|has|own|owns)\s+(?:exactly\s+|only\s+)?(?P<new>no|\d+|one|two|three|four|five|six|seven|eight|nine|ten|a dozen|eleven|twelve)"
    r"\s+(?P<noun>(?:[a-z-]+ )?(?:kids|children|cats|dogs|pets|sons|daughters|brothers|sisters|siblings|cars|bikes|grandchildren|guitars|horses|employees|"
    r"monitors|houses|chickens|plants|languages|computers|laptops|servers|tattoos|vacation days|days off))\b",
    re.I,
)
_BOUGHT = re.compile(
    rf"^{_WHO}{_DONE}(?:bought|got|have|has|purchased|picked up|own|drive|ordered|leased|getting)\s+(?:myself\s+)?(?:a|an|my)\s+(?:brand[- ])?new\s+"
    r"(?P<noun>[a-z]+(?: [a-z]+)?)\s*(?:,|:|—|–|-|\()\s*(?:it is\s+)?(?:an?\s+|the\s+)?(?P<new>(?-i:[A-Z0-9]).+)$",
    re.I,
)
_ENDED = re.compile(rf"^{_WHO}?{_DONE}{_GONE}\s+(?P<np>(?:my|our|the|his|her|their)\s+[\w'’ -]+?)(?P<tail>\s+(?:last|this|yesterday|today|because|and|so|after|since|at|a few|in|with|as|for good)\b.*|[,.;!].*)?$", re.I)
_CONSIDER = re.compile(rf"^{_WHO}(?P<not>(?:do not|does not|no longer|never|stopped|will not|cannot)\s+)?(?:really\s+|still\s+|now\s+|any longer\s+)?(?:consider|considering|call|calling|count|regard|see|treat)s?\s+(?P<new>.{{1,40}}?)\s+(?:as |to be |as being )?(?P<np>(?:my|our|the|(?-i:[A-Z])[\w-]+'s)\s+[\w'’ -]{{2,40}}?)(?P<any>\s+anymore)?$", re.I)
_BEING = re.compile(rf"^(?!.*\b(?:stopped|quit|like|love|hate|mind|enjoy|gave up)\b){_NP}being\s+(?P<new>.+)$", re.I)
_RATHER = re.compile(r"^I (?:would rather|prefer to|like to|would like to|want to|would prefer to) be (?:called|known as|addressed as)\s+(?P<new>(?-i:[A-Z]).*)$", re.I)
_AT_HOME = re.compile(r"^(?:my )?home(?: base)?(?: for me| for us)?(?: these days| now)?,? is (?:now )?(?P<new>(?:in )?(?-i:[A-Z]).*)$", re.I)
_LEFT_HOME = re.compile(rf"^{_WHO}?{_DONE}(?:gave up|given up|sold|left|gave notice on|moved out of|vacated|rented out)\s+(?:my|our|the)\s+(?:flat|apartment|house|place|home|condo|room|studio)\s+in\s+(?P<new>(?-i:[A-Z]).*)$", re.I)
_HAVE_NONE = re.compile(rf"^{_WHO}(?:(?:now|currently)\s+)?(?:do not have|no longer have|no longer own|do not own|have no|has no|does not have)\s+(?:a |an |any |my )?(?P<noun>[a-z][a-z' -]+?)(?:\s+anymore|\s+at the moment|\s+right now|\s+now)?$", re.I)
_POINTED = re.compile(r"^(?P<np>(?:(?:my|our|the|new|updated|correct|current|his|her|their)\s+|(?-i:[A-Z])[\w-]+'s\s+)?[\w'’ /-]{2,40}?)\s*(?::(?=\s)|=|->|→|—>|=>)\s*(?P<new>\S.*)$", re.I)
_PREFERRED = re.compile(rf"^{_WHO}{_DONE}(?:prefers?|preferred|favou?rs?|would rather have|would choose|would take|would rather drink|would rather)\s+(?P<new>.+?)\s+(?:to|over|rather than|instead of|more than|than)\s+(?P<old>.+)$", re.I)
_PREFERS = re.compile(rf"^{_WHO}{_DONE}prefers?\s+(?P<new>.+)$", re.I)
_BEST = re.compile(rf"^{_WHO}{_DONE}(?:like|love|enjoy|prefer|loves|likes|enjoys)\s+(?P<new>.+?)\s+(?:the best|best|the most|most|above all(?: other)?|more than any other|more than all other|better than any other)\s*(?:(?:of|among|out of|from|as far as)?\s*(?:all (?:of )?)?(?:the |my )?(?P<topic>[a-z][\w' -]+?)(?: go)?)?$", re.I)
_LIKED = re.compile(r"^(?:the|my)\s+(?P<topic>[\w' -]+?)\s+(?:that\s+|which\s+)?I\s+(?:really\s+|now\s+)?(?:like|love|enjoy|prefer|listen to|watch|eat|drink)\s+(?:the\s+)?(?:best|most|more than any other)?\s*(?:of all\s+|now\s+)?(?:is|are)\s+(?:now\s+)?(?P<new>.+)$", re.I)
_TOPIC = re.compile(r"^(?:when it comes to|as for|as far as|in terms of|regarding|concerning|of all(?: the)?|out of all(?: the)?|speaking of|on the subject of|with regard to|among(?: all)?|for)\s+(?:the |my |our |all )?(?P<topic>[\w' -]{2,40}?)(?:\s+(?:go|goes|is concerned|are concerned))?\s*,\s*(?P<rest>.+)$", re.I)
_ABOUT = re.compile(rf"^(?:(?:it is|that is|that would be|this is)\s+(?:now\s+)?(?P<is>.+)|{_WHO}{_DONE}(?:go for|go with|pick|choose|like|love|prefer|use|went with|chose|switched to|take)\s+(?P<pick>.+)|(?P<fav>.+?)\s+(?:is|are)\s+(?:now\s+)?(?:my|the)\s+(?:absolute\s+|new\s+)?(?:favou?rite|number one|top pick|top choice|go-to|best|pick|choice)\b.*)$", re.I)
_BEATEN = re.compile(r"^(?:no|no other)\s+(?P<topic>[\w' -]+?)\s+(?:beats|is better than|compares to|comes close to|can beat|tops)\s+(?P<new>.+)$", re.I)
_CALL = re.compile(r"^(?:(?:please|you can|you may|you should|you could|everyone|everybody|people|friends|they|just|my friends|most people|now|always|simply|so|do)\s+)*calls?\s+me\s+(?P<new>(?-i:[A-Z]).*)$", re.I)
_KEPT = re.compile(rf"^{_WHO}?{_DONE}(?:keep|store|put|left|leave|hide|hid|hidden|parked|park|stash|stashed|kept|stored|moved|placed|have)\s+(?P<np>(?:my|our|the|his|her|their)\s+[\w' -]+?)\s+(?:away\s+|back\s+|down\s+|now\s+)*(?P<new>(?:in|on|under|underneath|at|behind|inside|beside|next to|near|above|below|by)\s+.+)$", re.I)
_REACH = re.compile(r"^(?:(?:please|you can|you could|you may|best to|now|people can)\s+)*(?:reach|contact|text|call|email|e-mail|mail|message|write to|ring|phone)\s+(?P<whom>me|us|(?-i:[A-Z])[\w-]+|my [\w-]+)\s+(?:at|on|under|via)\s+(?P<new>\S.*)$", re.I)
_TAKEN = re.compile(rf"^{_WHO}{_DONE}(?:take|takes|drink|drinks|like|likes|have|prefer|want|order|eat|wear)\s+(?P<np>(?:my|our|his|her|their)\s+(?:coffee|tea|steak|eggs?|burgers?|pizza|whisky|whiskey|toast|espresso|sandwich|meat|rice|pasta|curry|hair|oatmeal|martini))\s+(?P<new>.+)$", re.I)
_AVOIDED = re.compile(rf"^{_WHO}(?:(?:now|always|also|currently|try to)\s+)*(?:do not eat|cannot eat|do not drink|cannot drink|avoid|never eat|never drink|cannot have|stay away from|stopped eating|stopped drinking|quit eating|quit drinking|no longer eat|no longer drink|cut out|gave up)\s+(?P<new>(?!my\b|the\b)[a-z].+)$", re.I)
_HABIT = re.compile(rf"^{_WHO}(?:have\s+|has\s+)?(?:just\s+|recently\s+|finally\s+)?(?P<verb>quit|stopped|gave up|given up|started|took up|taken up)\s+(?P<new>(?:smoking|drinking|vaping|running|jogging|gambling|biting my nails|meditating|journaling|cycling|swimming|gaming|exercising|climbing|surfing|knitting|painting|dancing|boxing|hiking|gardening|yoga|pilates|baking|pottery|karate|judo|chess)\b.*)$", re.I)


def constructed(text: str, context: Context) -> tuple[list[Claim], int] | None:
    """What the pattern that a text begins with says, and how far it reached; None where none fits."""
    whole = _POLITE.sub("", text).rstrip(" .!…\"'”’")
    for pattern, made in _PATTERNS:
        found = pattern.match(whole)
        claims = made(found, context) if found is not None else None
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
    whose = named(noun if re.match(r"(?:my|our)\s|\w+'s\s", noun, re.I) else f"my {noun}", _me(found, context))
    return changed(whose, value) if whose is not None else None


def _onto(found: re.Match[str], context: Context) -> Made:
    """`switched to a vegan diet` by the noun at its end."""
    words = _value(found.group("new"), time=False)[0].split()
    slot = slot_name(words[-1]) if len(words) > 1 else ""
    return [Claim(_me(found, context), slot, " ".join(words[:-1]))] if is_known(slot) and slot else None


def _for(found: re.Match[str], context: Context) -> Made:
    slot = slot_name(value_of(found.group("topic"))[0])
    value, _ = _value(found.group("new"), time=False)
    return [Claim(_me(found, context), slot, value)] if slot and value and not re.match(r"it\b|that\b|this\b", value) else None


def _reversed(found: re.Match[str], context: Context) -> Made:
    noun, _ = value_of(found.group("np"))
    whose = named(noun, context.me, context.last)
    value, denied = _value(found.group("new"))
    words = found.group("adv") or ""
    if whose is None or not whose.parts or not value or (whose.vague and not is_known(whose.place[1])):
        return None
    if is_being(whose.place[1]) and not is_name(value):
        return None
    gone = found.group("be") in ("was", "were", "used to be") or "no" in words or "once" in words or "formerly" in words
    subject, slot = whose.place
    if slot in ("favorite", "choice", "pick"):
        return None
    single = not re.search(r"\bone of\b", found.group(0))
    values = [value] if is_known(slot) else listed(value) if whose.several else [value]
    return [Claim(subject, slot, one, not (gone or whose.former), single and not whose.several) for one in values]


def _port(found: re.Match[str], context: Context) -> Made:
    whose = _np(found, context)
    return [Claim(whose.root, slot_name(f"{whose.thing} port"), found.group("new"))] if whose is not None and whose.thing else None


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
    slot = verb_slot(found.group("wh").lower(), words, True)
    value, _ = _value(found.group("new"))
    return [Claim(_me(found, context), slot, value)] if slot and value else None


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
    owned = named(phrase, context.me, context.last) if re.match(r"(?:my|our|the|his|her|their)\s|\w+'s\s", phrase, re.I) else None
    whose = owned or named(f"my {phrase}", context.me)
    value, _ = value_of(found.group("new"), time=True, listed=True)
    if whose is None or not whose.parts or not value or (owned is None and not is_known(whose.place[1])):
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
    if not 1 <= len(words) <= 4 or words[0].lower() in ("to", "that", "if", "when", "not", "it", "being", "my", "the", "this"):
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
    return [Claim(context.me, slot_name(f"favorite {noun}"), value)] if value and len(noun.split()) < 4 else None


def _topic(found: re.Match[str], context: Context) -> Made:
    topic = re.sub(r"\s+(?:go|goes)$", "", found.group("topic"))
    rest = _ABOUT.match(found.group("rest"))
    if rest is None:
        return None
    told = rest.group("is") or rest.group("pick") or rest.group("fav")
    value, _ = _value(re.sub(r"\s+(?:the\s+)?(?:best|most)\b.*$", "", told), time=False)
    slot = slot_name(topic)
    if not is_known(slot) and not rest.group("is"):
        slot = slot_name(f"favorite {topic}")
    return [Claim(context.me, slot, value)] if slot and value else None


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
    whom = named(found.group("whom"), context.me, context.last) if found.group("whom").lower() not in ("me", "us") else None
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


_PATTERNS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], Context], Made]], ...] = (
    (_TOPIC, _topic),
    (_REPLACED, _reversed_by),
    (_PORT, _port),
    (_MAKE, _make),
    (_HABIT, _habit),
    (_CALL, _call),
    (_RATHER, _call),
    (_AT_HOME, _at_home),
    (_LEFT_HOME, _left_home),
    (_CONSIDER, _consider),
    (_BEING, _changed),
    (_REACH, _reach),
    (_LIKED, _liked),
    (_BEATEN, _beaten),
    (_CHOSEN, _chosen),
    (_CHANGED, _changed),
    (_BECAME, _changed),
    (_TURNED, _changed),
    (_CLEFT, _cleft),
    (_RELATIVE, _relative),
    (_HAVING, _having),
    (_NAMED, _named),
    (_BOUGHT, _bought),
    (_COUNTED, _counted),
    (_KEPT, _kept),
    (_FOUND, _kept),
    (_TAKEN, _taken),
    (_PREFERRED, _preferred),
    (_BEST, _best),
    (_PREFERS, _prefers),
    (_FOR, _for),
    (_ONTO, _onto),
    (_ENDED, _ended),
    (_HAVE_NONE, _have_none),
    (_AVOIDED, _avoided),
    (_REVERSED, _reversed),
    (_POINTED, _pointed),
)
