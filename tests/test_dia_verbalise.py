"""How words, marks, short forms and capitals are said, a table a topic."""

import pytest

from models.dia.verbalise import verbalise

PLAIN_WORDS = [
    ("[S1] Hello there. [S2] Hi, how are you?", "[S1] hello there. [S2] hi, how are you?"),
    ("[S1] I'm fine, thanks! [S2] That's good to hear.", "[S1] i'm fine, thanks! [S2] that's good to hear."),
    ("Words before the first tag stay words.", "words before the first tag stay words."),
    (
        "You can't, won't and shouldn't've. Y'all know o'clock.",
        "you can't, won't and shouldn't've. y'all know o'clock.",
    ),
    ("The dogs' toys and 'Tis the season.", "the dogs toys and tis the season."),
    ("rock 'n' roll", "rock and roll"),
    ("I have a dog. A dog has me.", "i have a dog. a dog has me."),
    ("Twenty-one well-known mother-in-law jokes.", "twenty one well known mother in law jokes."),
    ("[S1] [S2] Only one of us speaks.", "[S1] [S2] only one of us speaks."),
    ("Yeahhh, nooo wayyy!", "yeahhh, nooo wayyy!"),
]

CUES = [
    ("[S1] That is funny. (laughs) [S2] (clears throat) Well…", "[S1] that is funny ... [S2] ... well ..."),
    ("(sighs) I don't know. (coughs).", "... i don't know ..."),
    ("Oh! (laughs) That's rich.", "oh! ... that's rich."),
    ("Wait... what? I.... never mind.", "wait ... what? i ... never mind."),
    ("Wait -- what? He said - quietly - no.", "wait, what? he said, quietly, no."),
    ("Yes—no; maybe: fine.", "yes, no, maybe, fine."),
    ("Really?! No way!!! What??", "really? no way! what?"),
    ("\"Hello,\" she said, 'quite' softly.", "hello, she said, quite softly."),
    ("It was cheap (for a car), but [sadly] slow.", "it was cheap, for a car, but, sadly, slow."),
    ("Well ,, fine ,. Done ,", "well, fine. done"),
    ("Hello,world.Next one!Yes", "hello, world. next one! yes"),
    ("I love it :) and you ;-) too <3", "i love it and you too"),
    ("*sigh* That is _really_ ~good~.", "sigh that is really good."),
    ("Go home -> sleep => repeat.", "go home, sleep, repeat."),
    ("One | two \\ three", "one, two backslash three"),
]

LETTERS = [
    ("Naïve café in Zürich, señor Nuñez!", "naive cafe in zurich, senor nunez!"),
    ("Ærøskøbing, Straße, Łódź and Þór", "aeroskobing, strasse, lodz and thor"),
    ("El Niño meets Dvořák.", "el nino meets dvorak."),
    ("I met Пётр and 你好 yesterday.", "i met and yesterday."),
    ("٣ cats", "three cats"),
    ("π is about 3.14, ± 0.01.", "pi is about three point one four, plus or minus zero point zero one."),
    ("© 2024 Acme™, all rights reserved®", "copyright twenty twenty four acme, all rights reserved"),
]

ADDRESSES = [
    ("Write to me@example.com, please.", "write to me at example dot com, please."),
    ("john.smith99@bbc.co.uk", "john dot smith ninety nine at bee bee see dot co dot you kay"),
    ("Go to openai.com!", "go to openai dot com!"),
    (
        "See https://www.example.com/a-b?x=1.",
        "see double you double you double you dot example dot com slash a dash bee question mark ex equals one.",
    ),
    ("www.google.com.", "double you double you double you dot google dot com."),
    ("#blessed, @home, C#, C++", "hashtag blessed, at home, see sharp, see plus plus"),
]

ABBREVIATIONS = [
    ("Mr. Smith, Mrs. Jones and Ms. Lee met Dr. Brown.", "mister smith, missus jones and miss lee met doctor brown."),
    ("Mr and Mrs White live on Main St. in St. Louis.", "mister and missus white live on main street in saint louis."),
    ("5 Ocean Dr. is near 5th Ave., off Sunset Blvd.", "five ocean drive is near fifth avenue, off sunset boulevard."),
    ("Dr. Who? The Dr. is in. See dr. smith.", "doctor who? the doctor is in. see doctor smith."),
    (
        "On St. Patrick's Day, on St. Mark's Pl. near 42nd St.",
        "on saint patrick's day, on saint mark's place near forty second street.",
    ),
    (
        "Gen. Lee, Sgt. Pepper, Rev. Green and Prof. Plum.",
        "general lee, sergeant pepper, reverend green and professor plum.",
    ),
    ("In general. The gen. public.", "in general. the gen. public."),
    ("Cats, dogs, etc. The end. Apples, etc. are here.", "cats, dogs, et cetera. the end. apples, et cetera are here."),
    ("Fruit, e.g. apples, i.e. this, vs. that.", "fruit, for example apples, that is this, versus that."),
    (
        "Acme Inc. makes it. I like Foo Ltd. He likes Bar Co.",
        "acme incorporated makes it. i like foo limited. he likes bar company.",
    ),
    (
        "Martin Luther King Jr. was here. So was Ken Griffey Sr.",
        "martin luther king junior was here. so was ken griffey senior.",
    ),
    ("Approx. 200, max. 250.", "approximately two hundred, maximum two hundred fifty."),
    ("See p. 12, pp. 3-4, fig. 2, vol. 3.", "see page twelve, pages three to four, figure two, volume three."),
    ("He lives in the U.S. He likes the U.K. government.", "he lives in the you ess. he likes the you kay government."),
    ("A Ph.D. from M.I.T. in the U.S.A.", "a pee aitch dee from em eye tee in the you ess eigh."),
    ("J. K. Rowling, John F. Kennedy and J.R.R. Tolkien", "jay kay rowling, john ef kennedy and jay are are tolkien"),
    (
        "I take plan B. Then we go. Take vitamin C. Doctors agree.",
        "i take plan bee. then we go. take vitamin see. doctors agree.",
    ),
    ("Mt. Everest, Ft. Worth, Lt. Dan", "mount everest, fort worth, lieutenant dan"),
    (
        "The meeting is on Wed. at noon. I sat. The sun. He may.",
        "the meeting is on wednesday at noon. i sat. the sun. he may.",
    ),
    ("pls help, thx, btw", "please help, thanks, by the way"),
    ("Coffee w/o sugar, w/ milk, 25 y/o", "coffee without sugar, with milk, twenty five years old"),
    ("Apt. 5, ext. 12, dept. of no. 7", "apartment five, extension twelve, department of number seven"),
    ("P.S. I love you. a.k.a. me", "pee ess. i love you. eigh kay eigh me"),
    ("the govt. and the dept. agree", "the government and the department agree"),
]

WORDS = [
    ("The BBC, the FBI and the CPU on TV.", "the bee bee see, the ef bee eye and the see pee you on tee vee."),
    ("DVDs, CDs, PCs and the CEO's SUV.", "dee vee dees, see dees, pee sees and the see ee oh's ess you vee."),
    ("NASA's launch, NATO, UNESCO and OPEC.", "nasa's launch, nato, unesco and opec."),
    ("OK. Ok, ok.", "okay. okay, okay."),
    ("STOP IT NOW! I SAID NO.", "stop it now! i said no."),
    ("I LOVE THE BBC. DON'T PANIC!", "i love the bee bee see. don't panic!"),
    ("I really NEVER want IT. She is SO nice.", "i really never want it. she is so nice."),
    ("The IT department of the US told US.", "the eye tee department of the you ess told you ess."),
    ("WARNING: DO NOT TOUCH!", "warning, do not touch!"),
    ("AI, USA, UK, EU, UN, HR, ID", "eigh eye, you ess eigh, you kay, ee you, you en, aitch are, eye dee"),
    ("SQL, HTML, the WHO", "ess cue ell, aitch tee em ell, the double you aitch oh"),
    ("the uk, usa, fbi, tv and dvd", "the you kay, you ess eigh, ef bee eye, tee vee and dee vee dee"),
    ("Plan A, plan b, option C, X, Y and Z.", "plan eigh, plan bee, option see, ex, why and zee."),
    ("An A+ and a B. The letter s.", "an eigh plus and a bee. the letter ess."),
    (
        "R&B, AT&T, Q&A, AC/DC, A/B tests",
        "are and bee, eigh tee and tee, cue and eigh, eigh see dee see, eigh bee tests",
    ),
    (
        "my iPhone, YouTube, eBay, GitHub, ChatGPT and JavaScript",
        "my eye phone, you tube, ee bay, git hub, chat jee pee tee and java script",
    ),
    ("McDonald's, O'Neill, MacArthur, LinkedIn", "mcdonald's, o'neill, macarthur, linked in"),
    ("hmm, shh, brrr, psst, tsk, grr", "hmm, shh, brrr, psst, tsk, grr"),
    ("and/or, he/she, yes/no, input/output, n/a", "and or, he or she, yes or no, input slash output, not applicable"),
    ("T-shirt, X-ray, e-mail, U-turn", "tee shirt, ex ray, ee mail, you turn"),
    (
        "FYI: the ETA is ASAP. WTF? OMG!",
        "ef why eye, the ee tee eigh is eigh ess eigh pee. double you tee ef? oh em jee!",
    ),
    ("I'm in L.A. It is hot. I'll go.", "i'm in ell eigh. it is hot. i'll go."),
    ("THE END", "the end"),
    ("JPEG, PhD, WiFi, XXL", "jay peg, pee aitch dee, why fye, ex ex ell"),
    ("Rock & roll @ home", "rock and roll at home"),
]


@pytest.mark.parametrize(("written", "said"), PLAIN_WORDS)
def test_plain_words_are_said(written, said):
    assert verbalise(written) == said


@pytest.mark.parametrize(("written", "said"), CUES)
def test_cues_and_marks_are_said(written, said):
    assert verbalise(written) == said


@pytest.mark.parametrize(("written", "said"), LETTERS)
def test_letters_are_said(written, said):
    assert verbalise(written) == said


@pytest.mark.parametrize(("written", "said"), ADDRESSES)
def test_addresses_are_said(written, said):
    assert verbalise(written) == said


@pytest.mark.parametrize(("written", "said"), ABBREVIATIONS)
def test_abbreviations_are_said(written, said):
    assert verbalise(written) == said


@pytest.mark.parametrize(("written", "said"), WORDS)
def test_acronyms_and_capitals_are_said(written, said):
    assert verbalise(written) == said
