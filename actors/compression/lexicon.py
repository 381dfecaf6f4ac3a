"""Closed word classes of English, as sets of lower-case words. Knows no text."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DETERMINERS = _words("the a an this that these those such another each every either neither any some")
POSSESSIVES = _words("my your his her its our their whose mine yours hers ours theirs")
PRONOUNS = _words(
    "i you he she it we they me him us them himself herself itself themselves myself yourself one ones "
    "who whom someone anyone everyone somebody anybody everybody something anything everything oneself"
)
PREPOSITIONS = _words(
    "of in on at by for with from to into onto over under between among through during before after about "
    "against across along around behind below beneath beside besides beyond despite down inside near off "
    "out outside since than throughout toward towards until up upon via within without per as like amid "
    "unlike"
)
CONJUNCTIONS = _words(
    "and or but nor so yet if because although though while whereas unless whether once when where why "
    "how that which then thus hence therefore however moreover furthermore also both either neither"
)
AUXILIARIES = _words(
    "is are was were be been being am do does did done have has had having will would shall should can "
    "could may might must ought let's it's that's there's i'm i've i'd i'll you're we're they're he's "
    "she's"
)
NEGATIONS = _words(
    "not no never none nothing nobody nowhere neither nor without cannot can't don't doesn't didn't won't "
    "isn't aren't wasn't weren't wouldn't shouldn't couldn't hasn't haven't hadn't hardly unless except"
)
ADVERBS = _words(
    "very more most less least much many few little too also just only even still already again often "
    "always sometimes usually generally typically particularly especially mainly mostly largely quite "
    "rather almost nearly about approximately well now then here there soon later earlier thus instead "
    "together apart away further perhaps maybe really actually indeed simply ago back forward otherwise "
    "else ever yet"
)
FILLERS = _words(
    "oh well hey hi hello yeah yes ok okay wow thanks thank please sure haha lol um uh hmm so anyway just "
    "like really actually basically literally kind sort guess mean know think great nice cool awesome"
)
COMMON = _words(
    "use used using uses make made makes making take took taken takes give given gave gives get got come "
    "came go went gone see seen saw know known become became becomes include includes included including "
    "found find form formed forms call called calls name named names work works worked way ways part "
    "parts time times year years day days people person man men woman women world life thing things place "
    "number numbers group groups area areas example result results end order fact case cases point state "
    "states system systems new old first last early late long large small great good high low different "
    "same other others several various major main important common general certain similar possible based "
    "caused led lead leading held hold began begin started start ended set put kept keep left right "
    "needed need provide provided provides allow allowed allows show shown shows says said say told asked "
    "followed following according due written wrote built build developed created considered believed "
    "described referred related located established produced required increased increase changes change "
    "changed remained remains own total level type types kind kinds process development period century "
    "member members country government public"
)
NUMBER_WORDS = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred "
    "hundreds thousand thousands million millions billion billions trillion dozen dozens half third "
    "thirds quarter first second fourth fifth sixth seventh eighth ninth tenth once twice double triple "
    "single pair"
)
UNITS = _words(
    "percent per cent % km m cm mm kg g mg ms s h mi ft lb miles mile kilometres kilometers metres meters "
    "feet inches acres hectares tons tonnes pounds dollars euros years year months month weeks week days "
    "day hours hour minutes minute seconds second degrees gb mb kb ghz mhz hz watts volts people "
    "inhabitants students times century centuries decades decade square cubic litres liters gallons "
    "horsepower"
)
CALENDAR = _words(
    "january february march april may june july august september october november december jan feb mar "
    "apr jun jul aug sep sept oct nov dec monday tuesday wednesday thursday friday saturday sunday bc ad "
    "bce ce spring summer autumn winter yesterday today tomorrow am pm"
)
TITLES = _words(
    "mr mrs ms dr prof sir lord lady king queen prince princess duke pope saint st president minister "
    "emperor general captain professor doctor bishop archbishop chancellor governor mayor senator judge "
    "chief director"
)

CLASSES = (
    DETERMINERS,
    POSSESSIVES,
    PRONOUNS,
    PREPOSITIONS,
    CONJUNCTIONS,
    AUXILIARIES,
    NEGATIONS,
    ADVERBS,
    FILLERS,
    COMMON,
    NUMBER_WORDS,
    UNITS,
    CALENDAR,
    TITLES,
)
"""One feature each, in this order."""

STOP_WORDS = (
    DETERMINERS | POSSESSIVES | PRONOUNS | PREPOSITIONS | CONJUNCTIONS | AUXILIARIES | ADVERBS
) - NEGATIONS
"""Words that carry grammar rather than content."""

SUFFIXES: tuple[tuple[str, ...], ...] = (
    ("ing",),
    ("ed",),
    ("ly",),
    ("tion", "sion", "ment", "ness", "ity", "ance", "ence", "ship"),
    ("al", "ous", "ive", "ic", "ful", "able", "ible", "ary", "less"),
    ("er", "or", "ist", "ian", "eer"),
    ("ism", "logy", "graphy", "ics", "dom", "hood"),
    ("s",),
    ("'s", "’s", "s'"),
    ("ese", "ish", "an", "i"),
)
"""Endings that tell kinds of words apart, one feature each."""

ABBREVIATIONS = _words("mr mrs ms dr prof st vs etc e.g i.e no vol fig jr sr inc ltd co u.s u.k ca cf approx")
"""Words whose full stop ends no sentence."""
