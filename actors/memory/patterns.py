"""Sentences that say a value in another way than subject, verb and object. Knows no slot and no meaning."""

import re

WHO = (
    r"(?P<who>(?!(?:Please|Let|Yes|No|So|Also|Turns|Just|Now|And|But|Well|Ok|Okay|Actually)\b)(?:I|we|"
    r"they|he|she|(?-i:[A-Z])[\w-]+(?: (?-i:[A-Z])[\w-]+)?|my [\w-]+)\s+)"
)
DONE = (
    r"(?:(?:have|has|had|just|recently|now|finally|also|already|decided to|officially|am|are|is|been|"
    r"ended up|got|did"
    r"|had to|have to|needed to|managed to|was able to|today|yesterday|actually|currently|usually|always|"
    r"mostly|normally|typically|personally|definitely|really|still"
    r"|went and|thus|so|then|do|absolutely)\s+)*"
)
NP = (
    r"(?P<np>(?:(?:my|our|the|his|her|their|its)\s+|(?!(?:We|He|She|They|It|You|This|That|I|There|What|"
    r"Please)\b)(?:(?-i:[A-Z])[\w-]*(?:'s|s')\s+|(?-i:[A-Z])[\w-]+\s+))"
    r"(?:(?!(?:to|from|with|is|was|are|as|has|have|into|until|for|in|on|at|said|says|told|tells|thinks|"
    r"thought|she|he|it|I|we|they|you|that|who|which|and|but|just|my|our|her|his|decided|wants|wanted)\b)"
    r"[\w'’/-]+\s*?(?:\s|$)){0,6}?"
    r"(?:(?:of|for) (?:my|our|the|his|her|their|(?-i:[A-Z]))[\w'’-]*(?:\s[\w'’-]+){0,2}?\s+)?)"
)
CHANGING = (
    r"(?:chang(?:e|ed|ing)|switch(?:ed)?|updat(?:e|ed)|mov(?:e|ed)|set|reset|replac(?:e|ed)|swap(?:ped)?|"
    r"rotat(?:e|ed)"
    r"|upgrad(?:e|ed)|downgrad(?:e|ed)|bump(?:ed)?|rais(?:e|ed)|lower(?:ed)?|reschedul(?:e|ed)|push(?:ed)?"
    r"|postpon(?:e|ed)"
    r"|shift(?:ed)?|renam(?:e|ed)|increas(?:e|ed)|reduc(?:e|ed)|cut|convert(?:ed)?|migrat(?:e|ed)|extend(?"
    r":ed)?|dropp?e?d?"
    r"|traded in|trading in|delay(?:ed)?|brought|bring|rebook(?:ed)?|transferr?e?d?|relocat(?:e|ed)|edit(?"
    r":ed)?|correct(?:ed)?"
    r"|revis(?:e|ed)|adjust(?:ed)?|went|gone|go|turned|rebrand(?:ed)?|chang(?:e|ed) over|switch(?:ed)?"
    r" over|dyed|painted|repainted)"
)
TO = r"(?:back to|forward to|up to|down to|over to|out to|to be|to|with|for|until|till|into|as|by)"
GONE = (
    r"(?:sold|cancell?ed|deleted|returned|lost|got rid of|gave away|given up|gave up|broke up with|"
    r"broken up with|split up with|dropped"
    r"|ditched|shut down|closed|discontinued|removed|stopped using|stopped having|scrapped|quit|"
    r"called off|retired"
    r"|resigned from|left|threw away|threw out|donated|scrapped|stopped|ended|terminated|fired|divorced|"
    r"totaled|crashed|sell|cancel|delete|return|give up|get rid of|drop|close)"
)
POLITE = re.compile(r"^(?:please|kindly|just|you can|so)\s+", re.I)
CHANGED = re.compile(rf"^{WHO}?{DONE}{CHANGING}\s+{NP}(?:from\s+(?P<old>.+?)\s+)?{TO}\s+(?P<new>.+)$", re.I)
BECAME = re.compile(
    rf"^{NP}(?:(?:has|have|had|was|were|is|are|got|been|just|now|recently|also|being|officially|will be|"
    rf"gets)\s+)*"
    rf"{CHANGING}\s+(?:from\s+(?P<old>.+?)\s+)?{TO}\s+(?P<new>.+)$",
    re.I,
)
TURNED = re.compile(
    rf"^{NP}(?:(?:has|have|just|now|recently|officially)\s+)*(?:became|become|turned into)\s+(?"
    rf"P<new>.+)$",
    re.I,
)
CHOSEN = re.compile(
    rf"^(?:you (?:can|could|may|should) )?{WHO}?{DONE}(?:us(?:e|es|ed|ing)|put down|list|record|note(?"
    rf": down)?|save|mark|register|enter|write down|store|remember|decided on|opted for|landed on|chosen|"
    rf"going with|gone with|(?:dropp?ed|ditched|swapped|abandoned|traded|replaced) .{{1,40}}? (?:in favou?"
    rf"r of|for|with)|pick(?:ed)?|chose|chosen|choose|made|select(?:ed)?|ha(?:ve|s)|want|consider|appointed"
    r"|nam(?:e|ed)|nominated|count|keep|switch(?:ed)? (?:over )?(?:from .{1,40}? )?to|mov(?:e|ed) (?"
    r":over )?(?:from .{1,40}? )?to|went with|go with|settled on|picked|hired|adopted|set|put|treat|"
    r"declare|crown)"
    r"\s+(?P<new>(?!to\b).{1,60}?)\s+as\s+(?P<np>(?:my|our|the|a|an|(?-i:[A-Z])[\w-]+'s)\s+(?:new\s+)?"
    r"[\w' -]{2,40})$",
    re.I,
)
FOR = re.compile(
    rf"^{WHO}{DONE}(?:us(?:e|es|ing)|rel(?:y|ies) on|go(?:es)? with|went with|(?:switched|moved) (?:over )?"
    rf"(?:from [^:;]+? )?to|prefers?)\s+"
    r"(?P<new>[^:;]{1,40}?)\s+(?:for|as (?:my|our|the))\s+(?P<topic>(?!.*\b(?:years?|months?|weeks?|days?|"
    r"hours?|reasons?)\b)(?!(?:ages|months|now|me|a|over|about|almost|the (?:last|past))\b)(?:my |our |"
    r"the |all my |all )?[a-z][\w' -]{2,30})$",
    re.I,
)
ONTO = re.compile(
    rf"^{WHO}{DONE}(?:switch(?:ed)?|chang(?:e|ed)|convert(?:ed)?|mov(?:e|ed)|went)\s+(?:over\s+|"
    rf"back\s+)?(?:from .+? )?to\s+(?:an?|the)\s+(?P<new>.+)$",
    re.I,
)
REVERSED = re.compile(
    r"^(?P<new>(?!(?:my|our|the|this|that|it|he|she|they|there|here|what|which|who|I|we|you|one|these|"
    r"those|his|her|their)\b)"
    r"(?:(?!\b(?:is|are|was|were)\b)[^,;:]){1,60}?)\s+(?P<be>is|are|was|were|has become|became|"
    r"have become|remains|will be|used to be|has been)\s+"
    r"(?P<adv>(?:now|still|currently|officially|definitely|not|no longer|actually|really|always|probably|"
    r"by far|hands down|just|also|once|"
    r"absolutely|easily|undoubtedly|without a doubt|formerly|again)\s+)*"
    r"(?P<np>(?:my|our|the|his|her|their|(?-i:[A-Z])[\w-]+'s)\s+[\w'’ -]{2,50})$",
    re.I,
)
PORT = re.compile(
    r"^(?:.*?\b)?(?P<np>(?:the|our|my)\s+(?:(?!port\b)[\w'-]+\s+){1,3}?)(?:(?!port\b)\w+\s+){0,4}?(?"
    r":on|to|at|uses|using|is|over|now)\s+(?:the\s+)?port\s+(?P<new>\d+)\b",
    re.I,
)
COMMUTE = re.compile(
    rf"^{WHO}{DONE}(?P<new>(?:bike|cycle|walk|drive|ride|run|take|takes|bikes|cycles|walks|drives|"
    rf"commute by|go by|took|carpool)\b.{{0,30}}?)\s+to (?:work|the office|my office)\b.*$",
    re.I,
)
HOMELY = re.compile(rf"^{WHO}{DONE}calls?\s+(?P<new>(?-i:[A-Z])[\w ]*?)\s+(?:my\s+)?home\b.*$", re.I)
SWITCHED = re.compile(
    rf"^{WHO}?{DONE}(?:changed|switched|moved|swapped|traded)\s+"
    rf"(?P<np>(?!jobs|companies|careers)[a-z]{{3,}}(?: [a-z]+)?s)\s+(?"
    rf":from\s+.+?\s+)?(?:to|for)\s+(?P<new>.+)$",
    re.I,
)
TEAM = re.compile(
    rf"^{WHO}{DONE}(?P<verb>work(?:s|ed)? (?:on|in|for)|on|in|part of|join(?:ed)?|mov(?:e|ed) to|"
    rf"transferred to|left|quit|switched to)"
    r"\s+(?:the )?(?P<new>(?-i:[A-Z])[\w ]*?)\s+team\b.*$",
    re.I,
)
MAKE = re.compile(
    rf"^{WHO}{DONE}(?:own|owns|the owner of|bought|buy|got|have|purchased|leased|lease|picked up|traded (?"
    rf":in )?"
    rf".{{2,40}}? for|swapped .{{2,40}}? for|replaced .{{2,40}}? with)\s+(?P<new>.+)$",
    re.I,
)
FOUND = re.compile(
    r"^(?:you|we|one)\s+(?:will|can|could)\s+(?:always\s+|now\s+)?find\s+(?P<np>(?:my|our|the|his|her)"
    r"\s+[\w' -]+?)\s+(?:now\s+)?(?P<new>(?:in|on|under|at|behind|inside|beside|next to|near|above|"
    r"below|by)\s+.+)$",
    re.I,
)
REPLACED = re.compile(
    r"^(?P<new>[^,;:]{1,50}?)\s+(?:has |have |had |just |recently )*(?:replac(?:ed|es)|took over from|"
    r"taken over from|succeeded|succeeds|took the place of|supersedes|superseded|displaced)\s+(?"
    r"P<old>.{1,50}?)\s+as\s+(?P<np>(?:my|our|the|his|her|(?-i:[A-Z])[\w-]+'s)\s+[\w'’ -]{2,40})$",
    re.I,
)
RELATIVE = re.compile(
    rf"^(?:the|my)\s+(?P<noun>(?!.*?\b(?:is|was|are|were)\b.*?\b(?:is|are)\b)[\w -]{{2,30}}?)\s+(?:that\s+|"
    rf"which\s+|where\s+|who\s+)?{WHO}{DONE}(?P<verb>[\w]+(?:\s+(?:in|at|for|to|with|on|by|up at|from))?)"
    rf"\s+(?:(?:now|currently|most|best|these days)\s+)*(?:is|are)\s+(?:(?:now|called|named|currently)\s+)*"
    rf"(?P<new>.+)$",
    re.I,
)
CLEFT = re.compile(
    rf"^(?P<new>(?!it\b|that\b|this\b|which\b|there\b|here\b).{{1,50}}?)\s+(?:is|are|was)\s+(?:(?:now|"
    rf"currently|still)\s+)*(?P<wh>where|what|who|when|something|one of the (?:things|languages|\w+))"
    rf"\s+{WHO}{DONE}(?P<verb>[\w]+(?:\s+\w+)?)$",
    re.I,
)
ALLERGY = re.compile(
    rf"^{WHO}{DONE}(?:have|has|developed|got)\s+(?:an?\s+)?(?:severe |mild |bad |serious |slight |"
    rf"strong )?(?P<new>[\w-]+(?: [\w-]+)?)\s+allerg(?:y|ies)\b.*$",
    re.I,
)
REACTION = re.compile(
    r"^(?P<new>(?!it\b|that\b|this\b|which\b)[\w -]{1,40}?)\s+(?:gives? me (?:an )?(?"
    r":allergic reactions?|hives|a rash)|makes? me (?:sneeze|itch|swell up|break out)|triggers?"
    r" my allerg(?:y|ies))\b.*$",
    re.I,
)
OUTGROWN = re.compile(
    r"^(?:(?:I(?: have)? (?:outgrown|outgrew|grew out of|got over|lost|no longer have))\s+my\s+(?"
    r"P<one>[\w -]+?)\s+allergy|my\s+(?:(?P<two>[\w -]+?)\s+allergy|allergy to (?P<three>[\w -]+?))\s+"
    r"(?:is|has)\s+(?:now\s+)?(?:gone|over|cured|disappeared|cleared up|away))\b.*$",
    re.I,
)
LIKED_OFF = re.compile(
    r"^I(?: have)? (?:gone off|went off|lost (?:all |my )?interest in|stopped (?:liking|enjoying|"
    r"loving)|am (?:over|done with|tired of|no longer into)|got bored of|outgrew|"
    r"fell out of love with|cannot stand)\s+(?P<new>(?!it\b|that\b|this\b|my\b|being\b)[\w -]+?)(?:\s+"
    r"anymore)?$",
    re.I,
)
ONE_OF = re.compile(
    r"^(?:one|some|two|three) of (?P<np>(?:my|our|his|her|their|(?-i:[A-Z])[\w-]+'s)\s+[\w' -]+?)\s+(?"
    r":is|are)\s+(?P<new>.+)$",
    re.I,
)
HAVING = re.compile(
    rf"^{WHO}{DONE}(?:have|has|had|got|adopted|bought|own|owns|keep|rescued|brought home|welcomed)\s+(?:a|"
    rf"an|another|one|my|our)\s+"
    r"(?:(?:new|little|small|big|pet|\w+-year-old|black|white|baby|lovely|rescue|second|older|younger|"
    r"golden)\s+)*"
    r"(?P<noun>[a-z-]+(?: [a-z-]+)?)\s*,?\s+(?:(?:who is |that is |which is )?(?:called|named)|(?:his|her|"
    r"its|their) name is|whose name is|by the name of|"
    r"and (?:his|her|its|their) name is|and (?:I|we) (?:called|named) (?:him|her|it))\s+(?P<new>.+)$",
    re.I,
)
NAMED = re.compile(
    rf"^{WHO}{DONE}(?:named|called|renamed|christened)\s+(?P<np>(?:my|our|the|his|her|their)"
    rf" [a-z' -]+?)\s+(?:to\s+)?(?P<new>(?-i:[A-Z]).*)$",
    re.I,
)
COUNTED = re.compile(
    rf"^{WHO}{DONE}(?:have|has|own|owns)\s+(?:exactly\s+|only\s+)?(?P<new>no|\d+|one|two|three|four|five|"
    rf"six|seven|eight|nine|ten|a dozen|eleven|twelve)"
    r"\s+(?P<noun>(?:[a-z-]+ )?(?:kids|children|cats|dogs|pets|sons|daughters|brothers|sisters|siblings|"
    r"cars|bikes|grandchildren|guitars|horses|employees|"
    r"monitors|houses|chickens|plants|languages|computers|laptops|servers|tattoos|vacation days|days off))\b",
    re.I,
)
BOUGHT = re.compile(
    rf"^{WHO}{DONE}(?:bought|got|have|has|purchased|picked up|own|drive|ordered|leased|getting)\s+(?"
    rf":myself\s+)?(?:a|an|my)\s+(?:brand[- ])?new\s+"
    r"(?P<noun>[a-z]+(?: [a-z]+)?)\s*(?:,|:|—|–|-|\()\s*(?:it is\s+)?(?:an?\s+|the\s+)?(?P<new>(?"
    r"-i:[A-Z0-9]).+)$",
    re.I,
)
ENDED = re.compile(
    rf"^{WHO}?{DONE}{GONE}\s+(?P<np>(?:my|our|the|his|her|their)\s+[\w'’ -]+?)(?P<tail>\s+(?:last|this|"
    rf"yesterday|today|because|and|so|after|since|at|a few|in|with|as|for good)\b.*|[,.;!].*)?$",
    re.I,
)
CONSIDER = re.compile(
    rf"^{WHO}(?P<not>(?:do not|does not|no longer|never|stopped|will not|cannot)\s+)?(?:really\s+|"
    rf"still\s+|now\s+|any longer\s+)?(?:consider|considering|call|calling|count|regard|see|treat)s?\s+"
    rf"(?P<new>.{{1,40}}?)\s+(?:as |to be |as being )?(?P<np>(?:my|our|the|(?-i:[A-Z])[\w-]+'s)\s+"
    rf"[\w'’ -]{{2,40}}?)(?P<any>\s+anymore)?$",
    re.I,
)
BEING = re.compile(
    rf"^(?!.*\b(?:stopped|quit|like|love|hate|mind|enjoy|gave up)\b){NP}being\s+(?P<new>.+)$",
    re.I,
)
RATHER = re.compile(
    r"^I (?:would rather|prefer to|like to|would like to|want to|would prefer to) be (?:called|"
    r"known as|addressed as)\s+(?P<new>(?-i:[A-Z]).*)$",
    re.I,
)
AT_HOME = re.compile(
    r"^(?:my )?home(?: base)?(?: for me| for us)?(?: these days| now)?,? is (?:now )?(?P<new>(?:in )?"
    r"(?-i:[A-Z]).*)$",
    re.I,
)
LEFT_HOME = re.compile(
    rf"^{WHO}?{DONE}(?:gave up|given up|sold|left|gave notice on|moved out of|vacated|rented out)\s+(?"
    rf":my|our|the)\s+(?:flat|apartment|house|place|home|condo|room|studio)\s+in\s+(?P<new>(?-i:[A-Z])"
    rf".*)$",
    re.I,
)
HAVE_NONE = re.compile(
    rf"^{WHO}(?:(?:now|currently)\s+)?(?:do not have|no longer have|no longer own|do not own|have no|"
    rf"has no|does not have)\s+(?:a |an |any |my )?(?P<noun>[a-z][a-z' -]+?)(?:\s+anymore|\s+"
    rf"at the moment|\s+right now|\s+now)?$",
    re.I,
)
POINTED = re.compile(
    r"^(?!.*?\b(?:is|are|was|were|has|have|am|will|would|do|did|and|called|named|said)\b.*?(?::|=|->))"
    r"(?!(?:regarding|concerning|about|as|for|re|to|of)\b)(?P<np>(?:(?:my|our|the|new|updated|correct|"
    r"current|his|her|their)\s+|(?-i:[A-Z])[\w-]+'s\s+)?"
    r"[\w'’ /-]{2,40}?)\s*(?::(?=\s)|=|->|→|—>|=>)\s*(?P<new>(?!.*\b(?:is|are|was|were)\b)\S.*)$",
    re.I,
)
PREFERRED = re.compile(
    rf"^{WHO}{DONE}(?:prefers?|preferred|favou?rs?|would rather have|would choose|would take|"
    rf"would rather drink|would rather)\s+(?P<new>.+?)\s+(?:to|over|rather than|instead of|more than|"
    rf"than)\s+(?P<old>.+)$",
    re.I,
)
PREFERS = re.compile(rf"^{WHO}{DONE}prefers?\s+(?P<new>.+)$", re.I)
BEST = re.compile(
    rf"^{WHO}{DONE}(?:like|love|enjoy|prefer|loves|likes|enjoys)\s+(?P<new>.+?)\s+(?:the best|best|"
    rf"the most|most|above all(?: other)?|more than any other|more than all other|"
    rf"better than any other)\s*(?:(?:of|among|out of|from|as far as)?\s*(?:all (?:of )?)?(?:the |my )?"
    rf"(?P<topic>[a-z][\w' -]+?)(?: go)?)?$",
    re.I,
)
LIKED = re.compile(
    r"^(?:the|my)\s+(?P<topic>[\w' -]+?)\s+(?:that\s+|which\s+)?I\s+(?:really\s+|now\s+)?(?:like|love|"
    r"enjoy|prefer|listen to|watch|eat|drink)\s+(?:the\s+)?(?:best|most|more than any other)?\s*(?"
    r":of all\s+|now\s+)?(?:was .+? but )?(?:is|are)\s+(?:now\s+)?(?P<new>.+)$",
    re.I,
)
TOPIC = re.compile(
    r"^(?:when it comes to|as for|as far as|in terms of|regarding|concerning|of all(?: the)?|"
    r"out of all(?: the)?|speaking of|on the subject of|with regard to|among(?: all)?|for)\s+(?:all )?"
    r"(?P<topic>[\w' -]{2,40}?)(?:\s+(?:go|goes|is concerned|are concerned))?\s*[,:]\s*(?"
    r"P<rest>.+)$",
    re.I,
)
ABOUT = re.compile(
    rf"^(?:(?:it is|that is|that would be|this is)\s+(?:now\s+)?(?P<is>.+)|{WHO}{DONE}(?:go for|"
    rf"go with|pick|choose|like|love|prefer|use|went with|chose|switched to|take)\s+(?P<pick>.+)|(?"
    rf"P<fav>.+?)\s+(?:is|are)\s+(?:now\s+)?(?:my|the)\s+(?:absolute\s+|new\s+)?(?:favou?rite|"
    rf"number one|top pick|top choice|go-to|best|pick|choice)\b.*)$",
    re.I,
)
BEATEN = re.compile(
    r"^(?:no|no other)\s+(?P<topic>[\w' -]+?)\s+(?:beats|is better than|compares to|comes close to|"
    r"can beat|tops)\s+(?P<new>.+)$",
    re.I,
)
CALL = re.compile(
    r"^(?:(?:please|you can|you may|you should|you could|everyone|everybody|people|friends|they|just|"
    r"my friends|most people|now|always|simply|so|do)\s+)*calls?\s+me\s+(?P<new>(?-i:[A-Z]).*)$",
    re.I,
)
KEPT = re.compile(
    rf"^{WHO}?{DONE}(?:keep|keeping|storing|store|put|left|leave|hide|hid|hidden|parked|park|stash|stashed|"
    rf"kept|stored|"
    rf"moved|placed|have)\s+(?P<np>(?:my|our|the|his|her|their)\s+[\w' -]+?)\s+(?:away\s+|back\s+|"
    rf"down\s+|now\s+)*(?P<new>(?:in|on|under|underneath|at|behind|inside|beside|next to|near|above|"
    rf"below|by)\s+.+)$",
    re.I,
)
REACH = re.compile(
    r"^(?:(?:please|you can|you could|you may|best to|now|people can)\s+)*(?:reach|contact|text|call|"
    r"email|e-mail|mail|message|write to|ring|phone)\s+(?P<whom>me|us|(?-i:[A-Z])[\w-]+|my [\w-]+)\s+"
    r"(?:at|on|under|via)\s+(?P<new>\S.*)$",
    re.I,
)
TAKEN = re.compile(
    rf"^{WHO}{DONE}(?:take|takes|drink|drinks|like|likes|have|prefer|want|order|eat|wear)\s+(?P<np>(?"
    rf":my|our|his|her|their)\s+(?:coffee|tea|steak|eggs?|burgers?|pizza|whisky|whiskey|toast|espresso|"
    rf"sandwich|meat|rice|pasta|curry|hair|oatmeal|martini))\s+(?P<new>.+)$",
    re.I,
)
AVOIDED = re.compile(
    rf"^{WHO}(?:(?:now|always|also|currently|try to)\s+)*(?:do not eat|cannot eat|do not drink|"
    rf"cannot drink|avoid|never eat|never drink|cannot have|stay away from|stopped eating|"
    rf"stopped drinking|quit eating|quit drinking|no longer eat|no longer drink|cut out)\s+(?"
    rf"P<new>(?!my\b|the\b)[a-z].+)$",
    re.I,
)
HABIT = re.compile(
    rf"^{WHO}(?:have\s+|has\s+)?(?:just\s+|recently\s+|finally\s+)?(?P<verb>quit|stopped|gave up|"
    rf"given up|started|took up|taken up)\s+(?P<new>(?:smoking|drinking|vaping|running|jogging|"
    rf"gambling|biting my nails|meditating|journaling|cycling|swimming|gaming|exercising|climbing|"
    rf"surfing|knitting|painting|dancing|boxing|hiking|gardening|yoga|pilates|baking|pottery|karate|"
    rf"judo|chess)\b.*)$",
    re.I,
)
