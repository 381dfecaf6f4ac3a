"""One name for each slot, however it is written: synonyms, spellings, plurals. Knows no verb."""

import re
from functools import lru_cache

_SYNONYMS = """
home: residence, place of residence, home city, city of residence, city, town, home base, location,
    whereabouts, country of residence, place
address: home address, street address, mailing address, postal address, residential address, house address
phone: phone number, mobile, mobile number, mobile phone, mobile phone number, cell, cell number,
    cellphone, cell phone, cell phone number, cellphone number, telephone, telephone number, contact
    number, tel
email: e-mail, mail, email address, e-mail address, mail address, email id, mail id, email account
employer: company, workplace, place of work, firm, place of employment, work place
job: profession, occupation, job title, role, position, career, line of work, day job, work title,
    title, current job, work
birthday: birth date, date of birth, dob, birthdate, birth day, bday, b-day
birthplace: place of birth, birth place, city of birth, birth city, country of birth
hometown: home town, native town, native city
name: full name, first name, given name
last name: surname, family name
nickname: nick, nick name
age: years
spouse: wife, husband, hubby, wifey
partner: boyfriend, girlfriend, fiance, fiancee, fiancé, fiancée, significant other, bf, gf
mother: mom, mum, mama, mommy, mummy
father: dad, papa, daddy
grandmother: grandma, granny, nana
grandfather: grandpa, granddad, grandad
kid: child, children
manager: boss, supervisor, line manager, team lead, direct manager
doctor: gp, physician, family doctor, general practitioner
roommate: flatmate, housemate, room mate, flat mate
friend: buddy, pal, mate
best friend: bestie, closest friend, bff
neighbor: next-door neighbor
colleague: coworker, co-worker, workmate
car: vehicle, automobile, ride, motor
school: university, college, uni, alma mater
major: field of study, degree, course of study, study subject, degree program
diet: eating habit, dietary preference, dietary restriction, dietary requirement, dietary choice
allergy: food allergy, allergen
nationality: citizenship
native language: mother tongue, first language, native tongue
blood type: blood group
wifi: wi-fi, wlan
wifi password: wi-fi password, wlan password, wifi code, wifi key
editor: text editor, code editor, ide, editing, coding, code editing, text editing
operating system: os
browser: web browser, browsing, web browsing
laptop: notebook computer
salary: pay, income, wage, annual salary, yearly salary
time zone: timezone
team: sports team, football team, soccer team
favorite movie: favorite film, favorite motion picture
favorite band: favorite group, favorite musical group
favorite food: favorite dish, favorite meal
favorite music: favorite genre of music, favorite music genre, favorite kind of music, favorite type of
    music, favorite style of music
favorite tv show: favorite show, favorite series, favorite tv series, favorite television show
favorite singer: favorite vocalist
favorite writer: favorite author, favorite novelist
favorite sport: favorite kind of sport
favorite athlete: favorite sportsman, favorite player
favorite restaurant: favorite place to eat
likes: like, interest
dislikes: dislike
hobby: pastime, leisure activity
shoe size: shoes size
shirt size: t-shirt size, tshirt size
clothing size: clothes size, dress size
bedtime: bed time, sleep time
wake-up time: wake up time, wakeup time, waking time, alarm, alarm time
emergency contact: emergency contact person
license plate: number plate, plate number, license plate number, plate, registration plate, registration
    number
passport number: passport id
pin: pin code, pin number
internet provider: isp, internet service provider
phone provider: carrier, mobile carrier, mobile provider, phone carrier, mobile operator, phone company,
    network provider, cell carrier
bank: main bank, banking
gym: fitness studio, fitness center, health club
music service: music app, streaming service, music streaming service
zodiac sign: star sign, sign
relationship status: marital status, civil status
faith: religion
handle: username, user name, login, login name
commute: way to work
budget: spending limit
deadline: due date
seat preference: seating preference
favorite seat: seat
medication: medicine, meds
dominant hand: handedness
"""
_SPELLINGS = """
colour color, colours colors, favourite favorite, favourites favorites, fave favorite, fav favorite,
faves favorites, preferred favorite, go-to favorite, favorited favorite, best-loved favorite,
beloved favorite, neighbour neighbor, neighbours neighbors, centre center, flavour flavor,
flavours flavors, licence license, theatre theater, programme program, grey gray, film movie,
films movies, organisation organization, mom mother, mum mother, dad father, jewellery jewelry,
tyre tire, tyres tires, pyjamas pajamas, aeroplane airplane, yoghurt yogurt, doughnut donut,
wi-fi wifi, e-mail email, e-mails emails, cellphone phone
"""
_DROPPED_WORDS = """
    current new own main primary usual actual real present latest updated correct newest regular
    all-time absolute very personal daily everyday dear lovely beautiful little own brand-new
    official exact permanent my our your the a an his her their its this that these those one
    number-one ultimate overall
"""
_DROPPED = frozenset(_DROPPED_WORDS.split())
FORMER = frozenset(["old", "former", "previous", "ex", "past", "prior", "original", "last", "earlier"])
"""Adjectives that put a slot's value in the past."""
_PERSONS = [
    "mother",
    "father",
    "sister",
    "brother",
    "son",
    "daughter",
    "kid",
    "spouse",
    "partner",
    "parent",
    "grandmother",
    "grandfather",
    "aunt",
    "uncle",
    "cousin",
    "niece",
    "nephew",
    "friend",
    "colleague",
    "neighbor",
    "roommate",
    "manager",
    "doctor",
    "dentist",
    "therapist",
    "lawyer",
    "accountant",
    "teacher",
    "professor",
    "coach",
    "trainer",
    "mentor",
    "landlord",
    "tenant",
    "nanny",
    "babysitter",
    "cleaner",
    "plumber",
    "hairdresser",
    "barber",
    "assistant",
    "secretary",
    "intern",
    "client",
    "stepmother",
    "stepfather",
    "stepsister",
    "stepbrother",
    "mother-in-law",
    "father-in-law",
    "sister-in-law",
    "brother-in-law",
    "grandson",
    "granddaughter",
    "grandchild",
    "godmother",
    "godfather",
    "godson",
    "goddaughter",
    "twin",
    "girl",
    "boy",
    "baby",
    "guy",
    "idol",
    "tutor",
    "supervisor",
    "advisor",
    "adviser",
    "counselor",
    "vet",
    "veterinarian",
    "pediatrician",
    "optician",
    "dermatologist",
    "psychologist",
    "psychiatrist",
    "physiotherapist",
    "gardener",
    "contractor",
    "realtor",
    "agent",
    "broker",
]
_PETS = [
    "dog",
    "cat",
    "pet",
    "puppy",
    "kitten",
    "hamster",
    "parrot",
    "rabbit",
    "bunny",
    "horse",
    "pony",
    "goldfish",
    "fish",
    "bird",
    "turtle",
    "tortoise",
    "snake",
    "lizard",
    "guinea-pig",
    "ferret",
    "canary",
]
_TIMES_WORDS = """
    birthday anniversary deadline bedtime time date day appointment-time schedule hour start end
    checkup departure arrival check-in check-out checkout due launch-date
"""
_TIMES = frozenset(_TIMES_WORDS.split())
_EVENTS_WORDS = """
    meeting appointment flight standup stand-up dinner lunch breakfast party wedding interview exam
    class lesson game match concert trip call conference review launch release train bus ferry
    session workshop delivery checkup surgery operation practice rehearsal training webinar demo
    presentation event reservation booking visit retreat vacation holiday ceremony graduation
    hearing shift sync retro kickoff course move
"""
EVENTS = frozenset(_EVENTS_WORDS.split())
_TOOLS = frozenset(
    [
        "editor",
        "text editor",
        "browser",
        "operating system",
        "programming language",
        "bank",
        "gym",
        "laptop",
        "search engine",
        "code editor",
    ]
)
"""What one has one of: the favorite is the one in use."""
_KINDS = frozenset(["kind", "type", "sort", "style", "brand", "flavor", "genre"])
_KEPT_WORDS = """
    glasses news clothes pants jeans shorts trousers headphones series status bus gas boss
"""
_KEPT = frozenset(_KEPT_WORDS.split())
_WORD = re.compile(r"[^\W_]+(?:[-’'.&+#/][^\W_]+)*[+#]*")


def _table() -> dict[str, str]:
    found: dict[str, str] = {}
    for line in _SYNONYMS.strip().replace("\n    ", " ").splitlines():
        name, _, others = line.partition(":")
        found[name.strip()] = name.strip()
        for other in others.split(","):
            found[other.strip()] = name.strip()
    return found


CANONICAL = _table()
SPELLINGS = dict(pair.split() for pair in _SPELLINGS.replace("\n", " ").split(",") if pair.split())
PERSONS = frozenset(_PERSONS)
PETS = frozenset(_PETS)
BEINGS = PERSONS | PETS


@lru_cache(maxsize=16384)
def slot_name(written: str) -> str:
    """The slot that a noun phrase names; empty where no noun is left of it.

    Example: slot_name("new mobile number") == "phone"; slot_name("favourite colours") == "favorite color".
    """
    written = re.sub(r" of choice$|(?<=\bport) number$", "", written, flags=re.IGNORECASE)
    words = [SPELLINGS.get(word, word) for word in _WORD.findall(written.lower().replace("’", "'"))]
    while words and words[0] in _DROPPED:
        words = words[1:]
    if not words:
        return ""
    if "favorite" in words:
        words = ["favorite", *(word for word in words if word not in ("favorite", "most", "single"))]
    for candidate in (words, [*words[:-1], singular(words[-1])]):
        if " ".join(candidate) in CANONICAL:
            return CANONICAL[" ".join(candidate)]
    words[-1] = singular(words[-1])
    if words[0] == "favorite" and len(words) > 1:
        words = _favorite(words)
        if " ".join(words[1:]) in _TOOLS:
            words = words[1:]
    kept = [words[0], *(word for word in words[1:] if word not in _DROPPED)]
    return CANONICAL.get(" ".join(kept), " ".join(kept))


def _favorite(words: list[str]) -> list[str]:
    """`favorite kind of tea` is the favorite tea."""
    if (
        len(words) > 3
        and words[1] in ("kind", "type", "sort", "style", "brand", "flavor", "genre")
        and words[2] == "of"
    ):
        return ["favorite", *words[3:]]
    return words


@lru_cache(maxsize=16384)
def singular(word: str) -> str:
    """A noun's singular, by rule."""
    if word in _KEPT or len(word) < 4:
        return word
    if word.endswith("ies") and len(word) > 4 and word != "movies":
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is", "as")):
        return word[:-1]
    return word


def plural(written: str) -> bool:
    """Whether a noun phrase's last word is a plural: its slot holds several values side by side."""
    words = _WORD.findall(written.lower())
    return bool(words) and (singular(words[-1]) != words[-1] or words[-1] == "children")


def is_being(slot: str) -> bool:
    """Whether a slot is filled by a person or an animal, by its last word."""
    return slot.split(" ")[-1] in BEINGS


def is_time(slot: str) -> bool:
    """Whether a slot's own value is a time: `deadline`, but not `meeting`."""
    return slot.split(" ")[-1] in _TIMES


def is_known(slot: str) -> bool:
    """Whether the lexicon has the slot, or its kind."""
    return slot in CANONICAL.values() or slot.startswith("favorite ") or slot.split(" ")[-1] in ATTRIBUTES


ATTRIBUTES = (
    frozenset(
        [
            "address",
            "number",
            "port",
            "password",
            "color",
            "size",
            "name",
            "age",
            "birthday",
            "price",
            "cost",
            "rent",
            "owner",
            "location",
            "version",
            "url",
            "hostname",
            "ip",
            "deadline",
            "budget",
            "status",
            "code",
            "pin",
            "model",
            "brand",
            "id",
            "key",
            "date",
            "time",
            "day",
            "place",
            "limit",
            "target",
            "capital",
            "weight",
            "height",
            "length",
            "width",
            "temperature",
            "threshold",
            "frequency",
            "speed",
            "region",
            "currency",
            "language",
            "plan",
            "provider",
            "title",
            "branch",
            "repository",
            "database",
            "server",
            "endpoint",
            "domain",
            "token",
            "balance",
            "fee",
            "rate",
            "salary",
            "goal",
            "priority",
            "type",
            "format",
            "level",
            "room",
            "floor",
            "gate",
            "seat",
            "theme",
            "font",
            "layout",
            "style",
            "extension",
            "username",
            "handle",
            "manager",
            "lead",
            "host",
            "capacity",
            "interval",
            "timeout",
            "schedule",
            "menu",
            "route",
        ]
    )
    | _TIMES
)
