"""What a memory's sentences state: a value of a slot of a subject. Knows no language model and no SQL."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from actors.memory.claims import Claim, framed, telling
from actors.memory.clauses import ADVERBS, AUXILIARIES, MARKS, Clause, clause_of
from actors.memory.constructions import Context, constructed
from actors.memory.frames import LEMMAS, OF_BEINGS, matching
from actors.memory.sentences import sentences
from actors.memory.slots import is_being, is_known
from actors.memory.subjects import Named, named_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A sentence's claim that a slot of a subject has a value, or (`holds` false) no longer has it.

    Example: "I moved to Porto." is Statement(subject="user", slot="home", value="Porto", start=0, end=17).
    An empty value with `holds` false retracts whatever the slot held.
    """

    subject: str
    slot: str
    value: str
    start: int
    end: int
    """The sentence is text[start:end]."""
    holds: bool = True
    single: bool = True
    """One value at a time: a new one takes the old one's place."""


LONGEST_SENTENCE = 400
"""Characters; a longer one tells a story."""
MOST_SENTENCES = 200
"""Sentences of one memory that are read."""
_BORDERS_WORDS = """
    and but so that because as since plus then though although while yet however which is was sure
    think guess believe know say mention note remember confirm realized realised remembered found
    mentioned said
"""
_BORDERS = frozenset(_BORDERS_WORDS.split())
_UNREAL_WORDS = """
    if unless wish imagine suppose supposing hope hoping would maybe perhaps whether pretend
    pretending dreamt dreamed dream dreaming hypothetically could might should want wants wanted
    wondering planning plan plans thinking considering hopefully someday ideally almost nearly joke
    joking kidding lie lied would've
"""
_UNREAL = frozenset(_UNREAL_WORDS.split())
_REPORTS_WORDS = """
    says said told tells claims claimed thinks thought believes asked heard swears mentioned wrote
"""
_REPORTS = frozenset(_REPORTS_WORDS.split())
_DENIED = re.compile(
    r"^(?:please\s+|you can\s+|now\s+|actually,?\s+|so\s+)*(?:forget|disregard|ignore|scratch|strike|"
    r"delete|remove|erase|never mind|"
    r"it is (?:not|no longer) (?:true|the case|correct|accurate)(?: anymore)?|it is (?:wrong|false)|"
    r"no longer true)(?:\s+the fact)?"
    r"\s*(?:that|what I said about|:|about)\b",
    re.IGNORECASE,
)
_GOVERNING_WORDS = """
    of with for to at in on from by about like than as into near behind under over after before
    without and or the a an is are was were am be not that which who
"""
_GOVERNING = frozenset(_GOVERNING_WORDS.split())
"""Words after which `my` begins an object."""
_LEADING_WORDS = """
    now currently then actually today nowadays instead but finally recently lately officially
"""
_LEADING = frozenset(_LEADING_WORDS.split())
_ANAPHOR = re.compile(r"\b(?:it|that|this) (?:is|was|will)\b", re.IGNORECASE)
_REVISED = re.compile(r"\b(?:now|actually|instead|no longer|anymore|not)\b", re.IGNORECASE)
_ASIDE = re.compile(
    r"\b(?:if|in case|should|whenever|when) (?:you|anyone|anybody|someone)\b[^,:;]*(?=[,:;])|\b(?:if|"
    r"as far as) I (?:remember|recall|am not mistaken|know)\b"
    r"|\b(?:could|can|would|will) you (?:please )?(?=(?:remember|note|update|change|save|store|record|put|"
    r"set|add|keep|forget|make))"
    r"|^(?:from now on|as of [\w ]{2,15}?|starting \w+|effective (?:immediately|today|now)|at the moment|"
    r"currently|"
    r"these days|right now|nowadays|for now|for once),?\s+(?=(?:my|our|the|I|we)\b|[A-Z])"
    r"|^(?:please|kindly)\b|^(?:so |well |and |oh )*(?:it )?(?:turn(?:s|ed) out|looks like|seems like|"
    r"seems)(?: that)?\b",
    re.IGNORECASE,
)
"""What is said to the listener and makes nothing a supposition."""
_RHETORICAL = re.compile(
    r"^\W*(?:(?:hey|oh|so|and|by the way),? )*(?:did|have) I (?:ever |already )?(?:mention|tell|say|"
    r"told|mentioned|said)\b",
    re.I,
)
_PARENTHESIS = re.compile(
    r"\s*\((?:which|it|that|formerly|previously|used|was|not|no longer|once|before)\b[^)]*\)|,\s+(?"
    r":which|who) (?:was|used to be)\b[^,]*,",
    re.I,
)
_PARAGRAPH = re.compile(r"[^\n]+")
_SKIPPED_LEAD = re.compile(r"^[\s\-*•>\d.)]*(?=\S)")


def statements(text: str, speaker: str = "", role: str = "user") -> list[Statement]:
    """What a text states, in order. `speaker` is who says "I"; without a name it is the user.

    Questions, wishes and suppositions state nothing; an assistant's "I" states nothing about the user.
    """
    if role != "user" and not speaker:
        return []
    me = speaker.strip().lower() or "user"
    context = Context(me)
    found: list[Statement] = []
    for start, end in islice(_lines(text), MOST_SENTENCES):
        sentence = text[start:end]
        if len(sentence) > LONGEST_SENTENCE:
            continue
        context = replace(context, over=False)
        if sentence.rstrip("\"'”’) ").endswith("?") and not _RHETORICAL.match(sentence):
            continue
        for claim, after in _claims(clause_of(_plain(sentence)), context):
            context = after
            found.append(
                Statement(
                    subject=claim.subject,
                    slot=claim.slot,
                    value=claim.value,
                    start=start,
                    end=end,
                    holds=claim.holds,
                    single=claim.single,
                )
            )
    return _consistent(found)


def _plain(sentence: str) -> str:
    """A sentence without asides."""
    return _ASIDE.sub("", _PARENTHESIS.sub(" ", sentence)).strip(" ,:;?")


def _lines(text: str) -> Iterator[tuple[int, int]]:
    for start, end in sentences(text):
        for line in _PARAGRAPH.finditer(text, start, end):
            yield line.span()


def _claims(clause: Clause, context: Context) -> Iterator[tuple[Claim, Context]]:
    """The claims of a sentence, with what the next may refer to; borders of clauses are tried one by one."""
    denied = _DENIED.match(clause.text)
    at = clause.at_offset(denied.end()) if denied is not None else 0
    before = at
    who: Named | None = None
    mentioned = _mentioned(clause, context) if _ANAPHOR.search(clause.text) else None
    if mentioned is not None:
        context = replace(context, place=mentioned.place, over=True)
    while at < len(clause.tokens):
        if _blocked(clause, before, at):
            return
        who = _spoken_of(clause, at, context) or who
        if who is not None and who.root not in (context.me, "user"):
            context = replace(context, last=who.subject)
        read = _read(clause, at, context, who)
        if read is None:
            at = _next_start(clause, at + 1)
            continue
        claims, end, who = read
        for claim in claims:
            if denied is not None:
                claim = Claim(claim.subject, claim.slot, claim.value, False, claim.single)
            last = claim.subject if claim.subject != context.me else context.last
            context = Context(context.me, last, (claim.subject, claim.slot), over=not claim.holds)
            yield claim, context
        before = end
        at = _next_start(clause, max(end, at + 1))


def _mentioned(clause: Clause, context: Context) -> Named | None:
    """The known slot that a sentence speaks of first, for what it then says of `it`."""
    for at in range(len(clause.tokens)):
        found = named_at(clause, at, context.me, context.last)
        if (
            found is not None
            and found[0].parts
            and (is_known(found[0].place[1]) or is_being(found[0].place[1]))
        ):
            return found[0]
    return None


def _next_start(clause: Clause, at: int) -> int:
    """The next token that a clause can begin with: after a mark or a joining word, or at `my` and `I`."""
    while at < len(clause.tokens):
        before = clause.tokens[at - 1]
        if before.text in MARKS or before.lower in _BORDERS:
            return at
        named = clause.tokens[at].capital and clause.lower(at).endswith("'s")
        bare = clause.lower(at) == "the"
        object_ = before.lower in LEMMAS or before.lower.endswith("ing")
        if object_ and clause.lower(at) != "i":
            at += 1
            continue
        if (named or bare or clause.lower(at) in ("my", "our", "i")) and before.lower not in _GOVERNING:
            return at
        at += 1
    return at


def _spoken_of(clause: Clause, at: int, context: Context) -> Named | None:
    """Who a clause is about, for the verbs after `and`."""
    found = named_at(clause, at, context.me, context.last)
    return found[0] if found is not None and found[0].being else None


def _blocked(clause: Clause, start: int, end: int) -> bool:
    """Whether what stands before a clause makes it a supposition, a wish or another's words."""
    for at in range(start, end):
        word = clause.lower(at)
        if word in ("plan", "plans") and clause.lower(at - 1) == "of":
            continue
        if word in _UNREAL and not (
            word in ("would", "should", "could", "want", "wanted") and _saying(clause, at, end)
        ):
            return True
        if word == "asked" and clause.lower(at - 1) == "you":
            continue
        if word in _REPORTS and "i" not in (clause.lower(at - 1), clause.lower(at - 2), clause.lower(at - 3)):
            return True
    return False


def _saying(clause: Clause, at: int, end: int) -> bool:
    """Whether `I would` and `you should` only lead to a saying: `I would say`, `you should know`."""
    words = {clause.lemmas[place] for place in range(at, end)}
    return bool(
        words
        & {"say", "know", "tell", "mention", "note", "remember", "add", "let", "update", "correct", "share"}
    )


def _read(
    clause: Clause, at: int, context: Context, who: Named | None
) -> tuple[list[Claim], int, Named | None] | None:
    """The claims of the clause that begins at a token, the token after them, and whom they are about."""
    made = constructed(clause.after(at), context)
    if made is not None:
        return made[0], len(clause.tokens), who
    while clause.lower(at) in _LEADING and at + 1 < len(clause.tokens):
        at += 1
    if clause.lower(at) in ("it", "that", "this") and clause.lower(at + 1) in AUXILIARIES:
        if not context.place[1] or not (context.over or _REVISED.search(clause.text)):
            return None
        said = framed(clause, at + 1, Named(context.place[0], (context.place[1],)))
        if said is None or any(
            len(claim.value.split()) > 4 and not telling(claim.value) for claim in said[0]
        ):
            return None
        return (*said, who)
    if clause.lower(at) in ("is", "are") and clause.lower(at - 1) in ("but", "and", ",") and context.over:
        said = framed(clause, at, Named(context.place[0], (context.place[1],)))
        return (*said, who) if said is not None else None
    found = named_at(clause, at, context.me, context.last)
    if found is not None:
        said = framed(clause, found[1], found[0])
        return (*said, found[0]) if said is not None else None
    after = at
    while clause.lower(after) in ADVERBS:
        after += 1
    verb = matching(clause.lemmas, after, OF_BEINGS)
    if who is None and at == 0:
        who = Named(context.me)
    if who is not None and verb is not None and (len(verb[0].words) > 1 or verb[0].kind != "state"):
        said = framed(clause, at, who)
        return (*said, who) if said is not None else None
    return None


def _consistent(found: list[Statement]) -> list[Statement]:
    """Without repeats, and without a retraction of the very value that the same text states after it."""
    kept: list[Statement] = []
    for statement in found:
        key = (statement.subject, statement.slot, statement.value.lower(), statement.holds)
        if statement.slot and key not in {
            (one.subject, one.slot, one.value.lower(), one.holds) for one in kept
        }:
            kept.append(statement)
    return kept
