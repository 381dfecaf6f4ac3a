"""Verbs and what their objects say of their subject, as a table of frames. Knows no sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

Kind = Literal["state", "change", "event", "end"]
"""Holds while said in the present; from when it happened on; for ever; ends what was."""

_OF_BEINGS = """
home state: have apartment in, have flat in, have house in, have place in, have home in, live in, live
    at, live on, live near, live over in, live out in, live up in, live down in, live outside of, live
    outside, reside in, reside at, dwell in, based in, based out of, based at, located in
home change: make move to, make move over to, move to, move into, move over to, move back to, move out
    to, move up to, move down to, move house to, move home to, move here to, relocate to, relocate back
    to, settle in, settle down in, settle into, resettle in, emigrate to, immigrate to, make home in,
    set up home in, buy house in, buy apartment in, buy flat in, rent flat in, rent apartment in, rent
    house in, rent place in, find place in, get place in
home end: move out of, move away from
employer state: employee of, employee at, do consulting for, consult for, freelance for, contract for,
    do contract work for, do
    work for, work at, work for, work over at, have job at, have job with, hold job at, hold position
    at, earn living at, make living at, have position at,  employed by, employed at, employed with, on
    payroll of, on staff at
employer change: join, start at, start work at, start working at, start working for, start job at, start
    job with, start role at, start position at, begin work at, begin working at, begin working for,
    begin job at, hired by, hired at, get job at, get job with, get position at, land job at, land job
    with, take job at, take job with, take position at, accept job at, accept offer from, accept
    position at, accept job offer from, sign on with, change jobs to, switch jobs to, switch companies
    to, get hired by, get hired at, move jobs to, poached by
employer end: quit, leave, resign from, fired from, laid off from, let go from, get fired from, get laid
    off from, depart from, hand in notice at, hand in resignation at, stop working at, stop working for,
    part ways with, left job at, quit job at, leave job at, done working for, done working at
job state: work as, employed as, serve as, earn living as, make living as, practice as
job change: promoted to, get promoted to, start as, start work as, start working as, start job as, start
    career as, retrained as, qualified as, appointed, appointed as, hired as, switch careers to, change
    careers to, begin working as, begin work as, take over as, step up as, given title of, get title of
birthday event: born on, celebrate birthday on
birthplace event: born in, born at, born and raised in
hometown event: grow up in, raised in, brought up in, hail from, come from, originally from, from
car state: drive, get around in, drive around in
car change: start driving
school state: study at, attend, go to school at, go to college at, go to university at, enrolled at,
    student at
school change: enroll at, enrol at, start studying at, transfer to university of, get into university of
school event: graduate from, get degree from, receive degree from
major state: study, major in, majoring in, specialize in
major change: change major to, switch major to
language state multi: know, speak, fluent in, converse in
learning state multi: learn, learn to speak, take lessons in, learn how to play, learn to play
learning change multi: start learning, start to learn, take up
spouse state: married to
spouse change: marry, get married to, wed, tie knot with
partner state: date, engaged to, in relationship with, go out with
partner change: get engaged to, start dating, start going out with
partner end: break up with, split up with, split from, divorced from, divorce, separated from, get
    divorced from
allergy state multi: allergic to, have allergy to, have allergies to, intolerant to, have intolerance
    to, have food allergy to, suffer from allergy to, get hives from
allergy change multi: develop allergy to, become allergic to
condition state multi: suffer from, live with diagnosis of
condition change multi: diagnosed with, get diagnosed with
likes state multi: like, love, enjoy, adore, into, fond of, crazy about, keen on, passionate about, big
    on, fan of, big fan of, huge fan of, addicted to, interested in, obsessed with
likes change multi: get into, fall in love with, discover love for
dislikes state multi: dislike, hate, detest, loathe, cannot stand, cannot bear, averse to, despise
favorite team state: support, root for, cheer for, supporter of
bank state: bank with, bank at, have account with, have bank account with, have bank account at
bank change: open account with, open account at, switch banks to, move account to
weight state: weigh, weigh in at
salary state: earn, make salary of
handle state: go by username, go by handle
nickname state: go by, known as, go by name, go by name of
name state: called
name change: rename to, rename, change name to, rebrand as, rebrand to, renamed, rechristened
diet state: follow, eat, eat only, on, keep to, stick to
diet change: go, switch to, turn to
gym state: work out at, exercise at, train at, member of gym, go to gym at, member at
gym change: join gym at, sign up at gym, sign up at
wake-up time state: wake up at, get up at, rise at, set alarm for, wake at
bedtime state: go to bed at, go to sleep at, turn in at, in bed by, go to bed around
commute state: commute by, commute on, commute with, get to work by, go to work by, travel to work by,
    get to work on, go to work on, get to office by
medication state multi: take
shoe size state: wear size, wear shoe size, take size
manager state: report to, managed by, answer to, supervised by, work under, report directly to
team state: on team, work on team
team change: move to team, transfer to, transferred to
subscription state multi: subscribe to, have subscription to
subscription change multi: sign up for, take out subscription to
subscription end multi: unsubscribe from, cancel subscription to
book state: reading, in middle of reading
show state: watching
instrument state multi: play
dominant hand state: write with
phone model change: upgrade phone to
music service state: listen to music on, stream music on, get music from
seat preference state: sit in
"""
_OF_THINGS = """
port state: listen on port, run on port, use port, bound to port, serve on port, expose port, listen at
    port, listen on, bind to port, reachable on port, available on port
platform state: run on, hosted on, deployed on, deployed to, built on, hosted at, hosted in, hosted
    with, written in, powered by
platform change: migrate to, ported to, migrated to, rewritten in
owner state: belong to, owned by, maintained by, run by
price state: cost, sell for, retail at, priced at
place state: located in, located at, held in, held at, stored in, stored at, kept in, based in, stay in,
    live in
place change: relocate to, moved to, move to, move into, relocated to
time state: start at, begin at, take place at, take place on, happen on, happen at, start on, begin on,
    leave at, depart at, leave on, depart on, scheduled for, planned for, set for, booked for, open at,
    run at, held on
time change: move to, moved to, postponed to, postponed until, postponed till, push to, pushed to,
    pushed back to, pushed back until, pushed out to, rescheduled to, rescheduled for, delayed until,
    delayed to, brought forward to, shifted to, rebooked for, rebooked to, deferred to, deferred until,
    put back to, moved up to, moved back to
deadline state: due on, due by, due at, due, have to be done by, must be done by
end time state: end at, finish at, close at, end on
name state: called, known as, go by
name change: renamed to, renamed, rebranded as, rebranded to, rebrand to, rebrand as
"""
_IRREGULAR = """
be: am is are was were been being
have: has had having
do: does did done doing
get: gets got gotten getting
leave: leaves left leaving
quit: quits quitting
become: becomes became becoming
go: goes went gone going
take: takes took taken taking
make: makes made making
begin: begins began begun beginning
drive: drives drove driven driving
speak: speaks spoke spoken speaking
buy: buys bought buying
sell: sells sold selling
grow: grows grew grown growing
come: comes came coming
bear: born borne
bring: brings brought bringing
know: knows knew known knowing
eat: eats ate eaten eating
keep: keeps kept keeping
wake: wakes woke woken waking
rise: rises rose risen rising
sleep: sleeps slept sleeping
wear: wears wore worn wearing
run: runs ran running
read: reads reading
let: lets letting
set: sets setting
lay: lays laid laying
pay: pays paid paying
cost: costs costing
give: gives gave given giving
lose: loses lost losing
put: puts putting
break: breaks broke broken breaking
split: splits splitting
choose: chooses chose chosen choosing
find: finds found finding
wed: weds wedding
build: builds built building
hold: holds held holding
stand: stands stood standing
stick: sticks stuck sticking
tell: tells told telling
think: thinks thought thinking
say: says said saying
throw: throws threw thrown throwing
write: writes wrote written rewritten writing
fall: falls fell fallen falling
sit: sits sat sitting
cannot: can't cant
trade: trades traded trading
"""
_MORE_VERBS = """
    change switch update set replace trade swap upgrade downgrade convert adopt purchase acquire cancel delete
    remove ditch discontinue retire prefer own possess name nominate select opt use stop drop pick hand base
    locate use prefer keep expect reschedule postpone push shift marry study rent register owe call smoke vape
    drink cook commute run jog swim practice volunteer teach support follow park store bake paint knit eat
"""


@dataclass(frozen=True, slots=True)
class Frame:
    """What follows these lemmas is the slot's value; one value at a time where `single`."""

    words: tuple[str, ...]
    slot: str
    kind: Kind
    single: bool
    passive: bool = False
    """Said with a form of `be` before it: `called`, `based in`."""


Frames = Mapping[str, tuple[Frame, ...]]
"""Frames by their first word, the longest first."""
_SKIPPED_WORDS = """
    a an the my his her our their new brand-new full-time part-time great own nice
"""
SKIPPED = frozenset(_SKIPPED_WORDS.split())
"""Words that say nothing between the words of a frame."""


def entries(table: str) -> list[tuple[str, list[str]]]:
    """The lines of a table, `head: one, two`; an indented line goes on with the one above."""
    lines = table.strip().replace("\n    ", " ").splitlines()
    split = (line.partition(":") for line in lines)
    return [(head.strip(), [one.strip() for one in rest.split(",")]) for head, _, rest in split]


def _forms(verb: str) -> list[str]:
    if verb.endswith("e"):
        return [verb, verb + "s", verb + "d", verb[:-1] + "ing"]
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return [verb, verb[:-1] + "ies", verb[:-1] + "ied", verb + "ing"]
    doubled = [verb + verb[-1] + "ed", verb + verb[-1] + "ing"] if verb[-1] in "tnlpgbmd" else []
    suffix = "es" if verb.endswith(("s", "x", "ch", "sh", "z")) else "s"
    return [verb, verb + suffix, verb + "ed", verb + "ing", *doubled]


def _lemmas() -> dict[str, str]:
    found: dict[str, str] = {}
    for line in _IRREGULAR.strip().splitlines():
        verb, _, forms = line.partition(":")
        found |= dict.fromkeys([verb, *forms.split()], verb)
    firsts = [
        phrase.split()[0]
        for table in (_OF_BEINGS, _OF_THINGS)
        for _, phrases in entries(table)
        for phrase in phrases
    ]
    plain = [word for word in firsts if not word.endswith(("ed", "ing")) and word not in found]
    for verb in [*_MORE_VERBS.split(), *plain]:
        found |= {form: verb for form in _forms(verb) if form not in found}
    return found


LEMMAS = _lemmas()
"""Every known form of a verb, and the verb."""


def lemma(word: str) -> str:
    """The verb that a lower-case word is a form of, or the word."""
    return LEMMAS.get(word, word)


def _frames(table: str) -> Frames:
    found: dict[str, list[Frame]] = {}
    for head, phrases in entries(table):
        *name, kind = [word for word in head.split() if word != "multi"]
        for phrase in phrases:
            words = tuple(lemma(word) for word in phrase.split())
            passive = phrase.split()[0].endswith("ed") or phrase.split()[0] in (
                "known",
                "built",
                "held",
                "kept",
            )
            frame = Frame(words, " ".join(name), cast("Kind", kind), "multi" not in head.split(), passive)
            found.setdefault(words[0], []).append(frame)
    return {first: tuple(sorted(some, key=lambda one: -len(one.words))) for first, some in found.items()}


OF_BEINGS = _frames(_OF_BEINGS)
OF_THINGS = _frames(_OF_THINGS)
VERBS = frozenset(LEMMAS)
PARTICIPLES = frozenset(
    frame.words[0]
    for table in (OF_BEINGS, OF_THINGS)
    for some in table.values()
    for frame in some
    if frame.passive
)


def matching(lemmas: Sequence[str], at: int, frames: Frames) -> tuple[Frame, int] | None:
    """The longest frame whose words stand at `at`, and where its value begins."""
    if at >= len(lemmas):
        return None
    for frame in frames.get(lemmas[at], ()):
        end = _end(lemmas, at, frame.words)
        if end is not None:
            return frame, end
    return None


def _end(lemmas: Sequence[str], at: int, words: Sequence[str]) -> int | None:
    for word in words:
        while at < len(lemmas) and lemmas[at] in SKIPPED and lemmas[at] != word:
            at += 1
        if at >= len(lemmas) or lemmas[at] != word:
            return None
        at += 1
    return at


def verb_slot(wh: str, lemmas: Sequence[str], being: bool) -> str:
    """The slot that a question word and a verb ask for (`where`, `live`); empty where none is known.

    `lemmas` begin with the verb; a preposition after it tells more than the question word.
    """
    if not lemmas:
        return ""
    table = OF_BEINGS if being else OF_THINGS
    frames = table.get(lemmas[0], ())
    whole = next((one for one in frames if _asked_whole(one, lemmas, wh)), None)
    if wh not in ("who", "how") and len(lemmas) > 1 and lemmas[1] in _PARTICLES:
        return whole.slot if whole is not None else ""
    known = _VERBS_ASKED.get((wh, lemmas[0]), "")
    if whole is not None and not (known and wh in ("when", "where")):
        return whole.slot
    single = next((one for one in frames if len(one.words) == 1), None)
    return known or (single.slot if single is not None else "")


def _asked_whole(frame: Frame, lemmas: Sequence[str], wh: str) -> bool:
    """Whether a question has all words of a frame; `where` and `when` stand for its last preposition."""
    words = frame.words
    if len(words) > 2 and wh in ("where", "when") and len(lemmas) == len(words) - 1:
        words = words[:-1]
    return len(words) > 1 and words == tuple(lemmas[: len(words)])


_PARTICLES = frozenset(
    ["out", "with", "for", "up", "off", "down", "over", "on", "through", "away", "after", "about", "against"]
)
"""Words that give a verb another sense: who works out at a place is not employed there."""
_ASKED = """
where home: live, move, reside, base, relocate, stay
where employer: work, employed
where school: study, attend
where hometown: grow, come, from, raised
where birthplace: bear
where bank: bank
where gym: go, train, exercise
where place: locate
when birthday: bear
when wake-up time: wake, get
when bedtime: go, sleep
when time: start, begin, leave, depart, take, happen, scheduled
when deadline: due
what job: do, work
what car: drive
what language: speak
what major: study, major
what diet: eat
what likes: like, enjoy, love
what dislikes: hate, dislike
what instrument: play
what weight: weigh
what nickname: call
what medication: take
what learning: learn
what salary: earn
what own: own
what price: cost
what avoids: avoid
what favorite team: support
what name: know, go
what platform: run
what port: listen
what allergy: allergic
who employer: work, employed, employ
who manager: report, managed, manage
who spouse: marry
who partner: date, engaged
who roommate: live
who favorite team: support, root
who owner: own
who bank: bank
how commute: commute, get, go, travel
how weight: weigh
how salary: earn, make
how phone: reach, contact
how price: cost
how rent: pay
when flight time: fly
"""
"""Question word and slot, and the verbs that ask for it."""
_VERBS_ASKED = {
    (head.split()[0], verb): head.split(" ", 1)[1] for head, verbs in entries(_ASKED) for verb in verbs
}
