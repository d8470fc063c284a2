"""How numbers are said: years, dates, money, measures and the rest, a table a topic."""

import pytest

from models.dia.verbalise import verbalise

INTEGERS = [
    ("I have 2 dogs and 1 cat, 0 fish.", "i have two dogs and one cat, zero fish."),
    ("It holds 15 people, not 50.", "it holds fifteen people, not fifty."),
    ("There are 105 rooms and 342 doors.", "there are one hundred five rooms and three hundred forty two doors."),
    (
        "We counted 1,234,567 birds.",
        "we counted one million two hundred thirty four thousand five hundred sixty seven birds.",
    ),
    ("1000000 reasons, 20000 more.", "one million reasons, twenty thousand more."),
    (
        "The ID is 1234567890123456.",
        "the eye dee is one two three four five six seven eight nine zero one two three four five six.",
    ),
    ("It is -5 outside, down from +3.", "it is minus five outside, down from plus three."),
    ("Agent 007 has PIN 0042.", "agent zero zero seven has pin zero zero four two."),
    ("Between 3-5 people, pages 10-12.", "between three to five people, pages ten to twelve."),
    ("Ages 5 - 10 are free.", "ages five to ten are free."),
    ("She is #1 and I am No. 5. No. I am not.", "she is number one and i am number five. no. i am not."),
    ("You read 1,987 pages.", "you read one thousand nine hundred eighty seven pages."),
    ("9,007,000,000,000,992 is big.", "nine quadrillion seven trillion nine hundred ninety two is big."),
    ("1 in 5 and 9 to 5.", "one in five and nine to five."),
    ("Room 101, Route 66.", "room one hundred one, route sixty six."),
]

DECIMALS = [
    ("Pi is 3.14159, roughly.", "pi is three point one four one five nine, roughly."),
    ("It grew .5 and then 0.05.", "it grew point five and then zero point zero five."),
    (
        "Take 2.0 and run v2.0.1 or version 3.10.",
        "take two point zero and run version two point zero point one or version three point one zero.",
    ),
    (
        "The host 192.168.1.1 is down.",
        "the host one hundred ninety two dot one hundred sixty eight dot one dot one is down.",
    ),
    ("1.5 million people, 3 billion stars.", "one point five million people, three billion stars."),
    ("Add 1/2 cup, 2 1/2 spoons and 3/4 liter.", "add one half cup, two and a half spoons and three quarters liter."),
    ("Mix ½ of it, then 1¼ more.", "mix one half of it, then one and one quarter more."),
    ("I give it 7/10, open 24/7.", "i give it seven out of ten, open twenty four seven."),
    ("1/3 of it, 5/8 inch, 50/50, 9/11.", "one third of it, five eighths inch, fifty fifty, nine eleven."),
    ("He won 3:2 on a 16:9 screen.", "he won three to two on a sixteen to nine screen."),
]

YEARS = [
    ("I was born in 1987 and left in 2005.", "i was born in nineteen eighty seven and left in two thousand five."),
    (
        "In 1900 and 1905, then 2010 and 2024.",
        "in nineteen hundred and nineteen oh five, then twenty ten and twenty twenty four.",
    ),
    (
        "The 1980s, the 1990's, the '90s and the 80s.",
        "the nineteen eighties, the nineteen nineties, the nineties and the eighties.",
    ),
    ("In her 20s, in the 1800s, in the 2000s.", "in her twenties, in the eighteen hundreds, in the two thousands."),
    ("In 1066, William came.", "in ten sixty six, william came."),
    ("1500 people came in 1500.", "one thousand five hundred people came in fifteen hundred."),
    (
        "From 1939-1945, or 2020-21.",
        "from nineteen thirty nine to nineteen forty five, or twenty twenty to twenty one.",
    ),
    ("The class of '87 and of '05.", "the class of eighty seven and of oh five."),
    ("1,000 years ago, 100s died.", "one thousand years ago, hundreds died."),
]

ORDINALS = [
    ("She came 3rd, he 21st, I 12th.", "she came third, he twenty first, i twelfth."),
    ("The 100th and the 1,001st night.", "the one hundredth and the one thousand first night."),
    ("On the 2nd floor of 42nd Street.", "on the second floor of forty second street."),
    ("The 21st century, 1st-3rd place.", "the twenty first century, first to third place."),
    ("My 30TH birthday", "my thirtieth birthday"),
]

DATES = [
    (
        "On 3/14/2024 and on 2024-03-14.",
        "on march fourteenth, twenty twenty four and on march fourteenth, twenty twenty four.",
    ),
    (
        "It is due 25/12/2023 or 14.03.2024.",
        "it is due december twenty fifth, twenty twenty three or march fourteenth, twenty twenty four.",
    ),
    ("See you Jan. 5 or Feb 3rd.", "see you january fifth or february third."),
    ("March 3, 2021 was a Wednesday.", "march third, twenty twenty one was a wednesday."),
    (
        "5 May and 5 May 2021, the 6th of June.",
        "the fifth of may and the fifth of may, twenty twenty one, the sixth of june.",
    ),
    ("July 4th, 1776. September 2019.", "july fourth, seventeen seventy six. september twenty nineteen."),
    ("Open Mon-Fri, closed Sat. and Sun. afternoon.", "open monday to friday, closed saturday and sunday afternoon."),
    ("On Tues., Dec. 24, we met.", "on tuesday, december twenty fourth, we met."),
    ("Jan 5-7 is free. On 12/25 too.", "january fifth to seventh is free. on december twenty fifth too."),
    ("You may 5 times march on.", "you may five times march on."),
]

TIMES = [
    ("It starts at 3:30 and ends at 15:45.", "it starts at three thirty and ends at fifteen forty five."),
    ("At 3:00 pm, 7am, 11 PM or 7 p.m. sharp.", "at three pee em, seven eigh em, eleven pee em or seven pee em sharp."),
    (
        "We left at 5:30 a.m. He left at 7 p.m. The end.",
        "we left at five thirty eigh em. he left at seven pee em. the end.",
    ),
    ("10:00 sharp, 12:05, 15:00, 00:00.", "ten o'clock sharp, twelve oh five, fifteen hundred, midnight."),
    ("From 9am-5pm, 9:00-17:30.", "from nine eigh em to five pee em, nine o'clock to seventeen thirty."),
    ("A time of 1:02:03 is fine.", "a time of one oh two oh three is fine."),
]

MONEY = [
    (
        "It costs $45.20, or £3.50 each.",
        "it costs forty five dollars and twenty cents, or three pounds and fifty pence each.",
    ),
    ("They raised £3m, then €1.5 billion.", "they raised three million pounds, then one point five billion euros."),
    (
        "I owe you 50¢, $0.05, $1, and $3.01.",
        "i owe you fifty cents, five cents, one dollar, and three dollars and one cent.",
    ),
    ("It is $1987.", "it is one thousand nine hundred eighty seven dollars."),
    ("It is $1,299.99, really.", "it is one thousand two hundred ninety nine dollars and ninety nine cents, really."),
    (
        "I lost -$5. I won $100k and ¥500.",
        "i lost minus five dollars. i won one hundred thousand dollars and five hundred yen.",
    ),
    (
        "Between $5-10 or $5-$10, with a $20 bill.",
        "between five to ten dollars or five to ten dollars, with a twenty dollar bill.",
    ),
    (
        "It was 20€, i.e. US$22 or 20 USD.",
        "it was twenty euros, that is you ess twenty two dollars or twenty you ess dee.",
    ),
]

MEASURES = [
    (
        "It is 20°C, i.e. 68 °F, a 30° slope.",
        "it is twenty degrees celsius, that is sixty eight degrees fahrenheit, a thirty degrees slope.",
    ),
    (
        "I am 95% sure. 100%. Save 20-30%!",
        "i am ninety five percent sure. one hundred percent. save twenty to thirty percent!",
    ),
    (
        "Drive 5 km at 60 mph, or 100 km/h.",
        "drive five kilometers at sixty miles per hour, or one hundred kilometers per hour.",
    ),
    ("It weighs 10 kg, 1 lb or 0.5 oz.", "it weighs ten kilograms, one pound or zero point five ounces."),
    ("16GB of RAM, a 2TB disk, 5kWh.", "sixteen gigabytes of ram, a two terabytes disk, five kilowatt hours."),
    ("He's 5'11\" tall, she's 6' tall.", "he's five feet eleven tall, she's six feet tall."),
    ('A 12" screen, "I am 12".', "a twelve inches screen, i am twelve."),
    ("It is 5 ft. tall. He is 6 ft. She is 5.", "it is five feet tall. he is six feet. she is five."),
    ("A 5-km run, a 7-year-old, a 12-inch pizza.", "a five kilometer run, a seven year old, a twelve inch pizza."),
    ("50m² or 20 sq ft or 10 m2.", "fifty square meters or twenty square feet or ten square meters."),
    (
        "3.5mm jack, 30 min, 24 hrs, 5 sec. later",
        "three point five millimeters jack, thirty minutes, twenty four hours, five seconds later",
    ),
    ("How many kg? In km, please.", "how many kilograms? in kilometers, please."),
    ("It has 1 GB and 1 km.", "it has one gigabyte and one kilometer."),
    ("3.2 GHz, 440 Hz, 20 mA", "three point two gigahertz, four hundred forty hertz, twenty milliamps"),
]

SUMS = [
    ("3 + 4 = 7 and 10 - 3 = 7.", "three plus four equals seven and ten minus three equals seven."),
    (
        "3 × 4 = 12, 2 * 3 = 6, 6 / 2 = 3.",
        "three times four equals twelve, two times three equals six, six divided by two equals three.",
    ),
    (
        "A 5x4 grid, 1920x1080, x2, 10x faster.",
        "a five by four grid, nineteen twenty by ten eighty, times two, ten times faster.",
    ),
    ("2^10, 10², ~50 of them.", "two to the power of ten, ten squared, about fifty of them."),
    ("5 > 3 and a < b", "five is greater than three and a is less than bee"),
]

NUMBERS_AS_NAMES = [
    ("Call 555-123-4567.", "call five five five, one two three, four five six seven."),
    ("Or (555) 123-4567.", "or five five five, one two three, four five six seven."),
    (
        "Call 1-800-555-0199 or 555-1234.",
        "call one, eight zero zero, five five five, zero one nine nine or five five five, one two three four.",
    ),
    ("Ring +44 20 7946 0958.", "ring plus four four, two zero, seven nine four six, zero nine five eight."),
    ("Or 020 7946 0958.", "or zero two zero, seven nine four six, zero nine five eight."),
    ("Dial 911 now! Or call 112.", "dial nine one one now! or call one one two."),
    ("My number is 123-45-6789.", "my number is one two three, four five, six seven eight nine."),
    ("GPT4, GPT-4, A4, B2B and MP3s.", "jee pee tee four, jee pee tee four, eigh four, bee two bee and em pee threes."),
    ("H2O, 3D, 4K, 5G, COVID-19, F-16.", "aitch two oh, three dee, four kay, five jee, covid nineteen, ef sixteen."),
    (
        "PS5, R2-D2, an i7, WW2, Windows 11.",
        "pee ess five, are two dee two, an eye seven, double you double you two, windows eleven.",
    ),
    (
        "Henry VIII and Louis XIV met Elizabeth II.",
        "henry the eighth and louis the fourteenth met elizabeth the second.",
    ),
    ("World War II, Chapter IV, Part I, Rocky III.", "world war two, chapter four, part one, rocky three."),
    ("Super Bowl XLII, Henry V. He was king.", "super bowl forty two, henry the fifth. he was king."),
    ("I like vitamin C, V and X.", "i like vitamin see, vee and ex."),
]


@pytest.mark.parametrize(("written", "said"), INTEGERS)
def test_integers_are_said(written, said):
    assert verbalise(written) == said


@pytest.mark.parametrize(("written", "said"), DECIMALS)
def test_decimals_are_said(written, said):
    assert verbalise(written) == said


@pytest.mark.parametrize(("written", "said"), YEARS)
def test_years_are_said(written, said):
    assert verbalise(written) == said


@pytest.mark.parametrize(("written", "said"), ORDINALS)
def test_ordinals_are_said(written, said):
    assert verbalise(written) == said


@pytest.mark.parametrize(("written", "said"), DATES)
def test_dates_are_said(written, said):
    assert verbalise(written) == said


@pytest.mark.parametrize(("written", "said"), TIMES)
def test_times_are_said(written, said):
    assert verbalise(written) == said


@pytest.mark.parametrize(("written", "said"), MONEY)
def test_money_are_said(written, said):
    assert verbalise(written) == said


@pytest.mark.parametrize(("written", "said"), MEASURES)
def test_measures_are_said(written, said):
    assert verbalise(written) == said


@pytest.mark.parametrize(("written", "said"), SUMS)
def test_sums_are_said(written, said):
    assert verbalise(written) == said


@pytest.mark.parametrize(("written", "said"), NUMBERS_AS_NAMES)
def test_numbers_as_names_are_said(written, said):
    assert verbalise(written) == said
