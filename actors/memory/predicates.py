"""What somebody is: an age, a job, a diet, a nationality ... by the look of the words. Knows no sentence."""

import re

from actors.memory.words import STOP_WORDS

_AGE = re.compile(r"^(\d{1,3})(?:\s*(?:years?|yrs?)\s*(?:old|of age)|\s*y/?o)?$", re.IGNORECASE)
_TALL = re.compile(r"^(.*\d.*|.* f(?:oo|ee)t.*) tall$", re.IGNORECASE)
_BLOOD = re.compile(r"^(?:type |blood type )?((?:A|B|AB|O)[ -]?(?:\+|-|[Pp]ositive|[Nn]egative))$")
_DIET = re.compile(
    r"\b(vegetarian|vegan|pescatarian|pescetarian|flexitarian|omnivore|carnivore|gluten-free|dairy-free|keto"
    r"|ketogenic|paleo|halal|kosher|plant-based|raw food|fruitarian|low-carb|meat[- ]eater|lacto\S+|"
    r"mediterranean"
    r"|whole30|dash|macrobiotic|meat|sugar-free|nut-free)\b",
    re.IGNORECASE,
)
_STATUS = re.compile(
    r"^(?:happily |newly |recently )?(single|married|divorced|widowed|engaged|separated|unmarried)$",
    re.IGNORECASE,
)
_HANDED = re.compile(
    r"^(?:a )?(left[- ]hand(?:ed|er)|right[- ]hand(?:ed|er)|ambidextrous|lefty|southpaw|righty)$",
    re.IGNORECASE,
)
_FAITH = re.compile(
    r"^(?:an? )?(christian|muslim|jewish|buddhist|hindu|sikh|atheist|agnostic|catholic|protestant|"
    r"orthodox christian"
    r"|quaker|mormon|baptist|lutheran|jain|pagan|humanist|methodist)$",
    re.IGNORECASE,
)
_SIGN = re.compile(
    r"^an? (aries|taurus|gemini|cancer|leo|virgo|libra|scorpio|sagittarius|capricorn|aquarius|pisces)$",
    re.IGNORECASE,
)
_NATION = re.compile(
    r"^(?:an? )?(?:[A-Z][a-z]+-)?([A-Z][a-z]+(?:ish|ese|ian|ean|can|nch|tch|eek|ani|aqi|wiss|zech|hai|man|"
    r"lander|ole|ss)"
    r"|Dane|Swede|Finn|Pole|Turk|Brit|Scot|Spaniard|Filipino|Argentinian|Iraqi|Saudi|Kiwi|Aussie|Canadian|"
    r"Thai)"
    r"(?: citizen| national)?$"
)
_PROFESSION = re.compile(
    r"(?:er|or|ist|ian|accountant|assistant|consultant|attendant|sergeant|merchant|servant|smith|wright|"
    r"man|woman|person|eer|ress|icer|chitect|chief|ician|ologist|head|intern|nurse|chef"
    r"|cook|pilot|clerk|judge|guard|monk|priest|author|poet|coach|guide|aide|barista|ceo|cto|cfo|coo|vp|lead"
    r"|analyst|agent|scribe|fellow|advocate|student|trainee|apprentice|associate|specialist|surgeon|vet|"
    r"veterinarian"
    r"|model|host|midwife|sales rep|representative|representant|expert|therapist|entrepreneur|freelance|"
    r"principal"
    r"|diplomat|hr|architect|postdoc|sommelier|tailor|butler|astronaut|paramedic|mechanic|critic|medic|"
    r"supervisor"
    r"|executive|official|deputy|president|minister|aide|co-founder|founder|partner|director|tutor|"
    r"tour guide)$",
    re.IGNORECASE,
)
_NOT_JOBS = re.compile(
    r"\b(?:person|lover|believer|owner|eater|father|mother|brother|sister|member|user|beginner|winner|"
    r"loser|fan"
    r"|follower|sucker|newcomer|foodie|drinker|smoker|reader|speaker|parent|superstar|riser|owl|sleeper|"
    r"player"
    r"|supporter|listener|stranger|visitor|morning person|people person|minor|customer|traveler|traveller|"
    r"hater|bit|stickler"
    r"|believer|survivor|giant|elephant|human|man|woman|matter|manner|disaster|better|former|older|"
    r"younger|winner|never|together|forever"
    r"|another|summer|winter|number|dinner|water|however|bummer)$",
    re.IGNORECASE,
)
_CAR = re.compile(
    r"\b(?:Volvo|Tesla|Fiat|Mazda|BMW|Audi|Toyota|Honda|Ford|Chevy|Chevrolet|Nissan|Hyundai|Kia|Subaru|"
    r"Jeep|Dodge|Porsche|"
    r"Ferrari|Mercedes|Volkswagen|VW|Renault|Peugeot|Citro[eë]n|Skoda|Seat|Opel|Lexus|Mini|Jaguar|"
    r"Land Rover|Range Rover|"
    r"Mitsubishi|Suzuki|Dacia|Polestar|Rivian|Cadillac|Buick|Chrysler|Saab|Alfa Romeo|Lancia|Prius|"
    r"Corolla|Civic|Golf|Polo)\b"
)
_COLOR = re.compile(
    r"^(?:(?:light|dark|bright|pale|deep|metallic|matte|sky|navy|olive|forest|mint|hot|baby|royal) )*(?"
    r":red|blue|green|yellow|black|white|gr[ea]y|"
    r"orange|purple|pink|brown|silver|gold|golden|beige|turquoise|teal|maroon|crimson|violet|indigo|navy|"
    r"cyan|magenta|cream)$",
    re.IGNORECASE,
)
_IDLE = re.compile(
    r"^(?:a |an )?(retired|unemployed|self-employed|freelanc(?:e|ing|er)|a student|between jobs|"
    r"a stay-at-home \w+"
    r"|out of work|jobless|on parental leave|on sabbatical)$",
    re.IGNORECASE,
)
_NAME = re.compile(
    r"^(?:Dr\. |Mr\. |Ms\. |Mrs\. |Prof\. )?[A-Z][\w'’-]+(?: (?:de |da |van |von |O')?[A-Z][\w'’-]*"
    r"\.?){0,3}$",
)
_COMMON = re.compile(
    r"""^(?:very\s|so\s|really\s|quite\s|too\s|pretty\s|a\s(?:bit|little|lot|great|real|big|huge|good|nice|mess|pain)\b|such\s
    |super\s|all\s|just\s|kind\sof\s|sort\sof\s|as\s|about\s|like\s|to\s|how\s|why\s|what\s|that\s|because\s|going\s|getting
    |(?-i:[a-z]+ing)\b|tough\b|rough\b|tricky\b|harder\b|easier\b|sweet\b|cute\b|adorable\b|scary\b|vibrant\b|valuable\b|a\s(?:change|total|bummer|reminder|blast|joy|must|mix|step|dream|walk)\b|great\b|good\b|nice\b|awesome\b|amazing\b|fine\b|ok\b|okay\b|bad\b|terrible\b|awful\b|late\b|early\b|busy\b
    |ready\b|done\b|hard\b|easy\b|important\b|fun\b|wonderful\b|lovely\b|beautiful\b|cool\b|happy\b|sad\b|tired\b|sick\b
    |broken\b|boring\b|interesting\b|full\b|empty\b|free\b|same\b|the\ssame\b|different\b|better\b|worse\b|best\b|worst\b
    |the\sbest\b|the\sworst\b|the\sonly\b|perfect\b|delicious\b|fantastic\b|incredible\b|special\b|safe\b|wrong\b|right\b
    |true\b|false\b|obvious\b|clear\b|simple\b|complicated\b|stressful\b|hectic\b|crazy\b|insane\b|lucky\b|proud\b|excited\b
    |glad\b|nervous\b|worried\b|afraid\b|sure\b|certain\b|here\b|there\b|gone\b|over\b|back\b|up\b|out\b|off\b|down\b|on\s(?:fire|hold)
    |always\s|never\s|not\s|still\s|supposed\s|made\s|meant\s|able\s|one\sof\s|part\sof\s|something\b|nothing\b|everything\b
    |someone\b|such\b|so\b|really\b|too\b|more\b|less\b|much\b|many\b|it\b|me\b|you\b|him\b|her\b|them\b|this\b|mine\b|yours\b)""",
    re.IGNORECASE | re.VERBOSE,
)
_VAGUE_WORDS = """
    day week weekend life point goal dream plan idea problem question thing mind heart face way
    reason fear guess turn feeling time fault pleasure advice opinion view understanding experience
    hope wish concern mistake choice story answer truth fact part bit case best worst rest weather
    food side issue trouble luck intention only impression theory take bad everything body stuff
    people eye hand head house kind
"""
_VAGUE = frozenset(_VAGUE_WORDS.split())
_TALK = frozenset(["about", "my", "your", "it", "that", "this", "with", "because", "what", "me", "you"])
_NOT_FIRST_WORDS = """
    the my in on at to of for with from by not me us it all about like so very into out up
"""
_NOT_FIRST = frozenset(_NOT_FIRST_WORDS.split())
_EMPTY_WORDS = """
    point thing part way reason fact idea question problem fear guess feeling advice opinion truth
"""
_EMPTY = frozenset(_EMPTY_WORDS.split())


def predicate(value: str) -> tuple[str, str] | None:
    """The slot and value of what somebody is (`34`, `a nurse`, `vegan`)"
    "; None where it is no lasting trait."""
    for slot, pattern in (
        ("age", _AGE),
        ("height", _TALL),
        ("blood type", _BLOOD),
        ("diet", _DIET_WHOLE),
        ("relationship status", _STATUS),
        ("dominant hand", _HANDED),
        ("faith", _FAITH),
        ("zodiac sign", _SIGN),
        ("nationality", _NATION),
        ("job", _IDLE),
    ):
        found = pattern.match(value)
        if found is not None:
            return slot, found.group(1)
    job = re.split(r"\s(?:in|from|based|who|and)\s", value)[0]
    return ("job", job) if is_job(job) else None


_DIET_WHOLE = re.compile(
    rf"^(?:an? |strictly |mostly )?((?:\w+ )?{_DIET.pattern}(?: diet| eater)?)$",
    re.IGNORECASE,
)


def is_color(value: str) -> bool:
    """Whether a value is a colour and nothing else."""
    return _COLOR.match(value) is not None


def is_car(value: str) -> bool:
    """Whether a value names a make of car."""
    return _CAR.search(value) is not None


def is_diet(value: str) -> bool:
    """Whether a value is a way of eating."""
    return _DIET.search(value) is not None


def is_job(value: str) -> bool:
    """Whether a value is a profession, by how its last word ends."""
    words = value.split()
    if (
        not words
        or _TALK & {word.lower() for word in words}
        or words[-1].lower() in STOP_WORDS
        or len(words[-1]) < 2
    ):
        return False
    return (
        len(words) <= 5
        and not is_mood(value)
        and words[0].lower() not in _NOT_FIRST
        and bool(_PROFESSION.search(words[-1]))
        and not _NOT_JOBS.search(value)
    )


def is_name(value: str) -> bool:
    """Whether a value is written as the name of somebody."""
    return _NAME.match(value) is not None


def is_mood(value: str) -> bool:
    """Whether a value is an opinion or a passing state rather than a fact."""
    return _COMMON.match(value) is not None


def is_vague(slot: str) -> bool:
    """Whether a slot is too general a noun for one value to take another's place (`day`, `idea`)."""
    return slot in _VAGUE or (slot.split(" ")[-1] in _EMPTY and not slot.startswith("favorite "))
