"""Sentences of generated reviews, with slots in braces.

Slots of the product's type: noun, part, quality, flaw, use, fault. Slots that fit any product:
good, bad, time, person, deal. Sentences are sorted by what they say (good, bad, or neither) and by
whether they tell anything of the product.
"""

from __future__ import annotations

from typing import Final

TYPE_SLOTS: Final = ("noun", "part", "quality", "flaw", "use", "fault")

WORDS: Final[dict[str, tuple[str, ...]]] = {
    "good": (
        "great", "perfect", "excellent", "very nice", "wonderful", "just what I needed", "better than I expected",
        "well worth it", "fantastic", "really good", "spot on", "amazing", "as described", "awesome", "solid",
    ),
    "bad": (
        "a disappointment", "poor", "a waste of money", "terrible", "not what I expected", "useless", "awful",
        "cheap", "not worth it", "mediocre", "really bad", "a joke", "frustrating",
    ),
    "time": (
        "two weeks", "a month", "three days", "six months", "a few uses", "a year", "a couple of weeks",
        "the first week", "less than two months", "a few days", "half a year", "one day",
    ),
    "person": (
        "My husband", "My wife", "My daughter", "My son", "My mom", "My sister", "A friend of mine", "My dad",
        "My boyfriend", "My neighbor", "My brother", "My grandson", "Everyone in my family", "My girlfriend",
    ),
    "deal": (
        "for the price", "for the money", "at this price", "on sale", "as a gift", "last month", "for Christmas",
        "for a birthday", "online", "on a whim", "after reading the reviews", "as a replacement",
    ),
}  # fmt: skip

GOOD_PRODUCT: Final = (
    "The {part} is {quality} and I could not be happier.",
    "I use it for {use} and it is {good}.",
    "This {noun} is {quality} and the {part} is {good}.",
    "It is perfect for {use}.",
    "The {part} is {good}, and the {part} is {quality}.",
    "If you are looking for something for {use}, this is it.",
    "I was worried about the {part}, but it is {good}.",
    "It is {quality}, {quality} and {good}.",
    "I have had another {noun} before and this one is {good}.",
    "For {use} it does exactly what it should.",
    "{person} loves this {noun}, especially the {part}.",
    "The best thing about it is the {part}.",
)
BAD_PRODUCT: Final = (
    "After {time} {fault}.",
    "The {part} is {bad} and {fault}.",
    "I wanted it for {use}, but it was {bad}.",
    "I thought the {part} would be {quality}, but it is {flaw}.",
    "This {noun} is {flaw} and {bad}.",
    "The {part} is {flaw}.",
    "Within {time} {fault}, and then {fault}.",
    "It is not {quality} at all and the {part} is {bad}.",
    "The {part} could be a lot better.",
    "{person} tried it for {use}, and {fault}.",
    "Be careful with the {part}.",
)
NEUTRAL_PRODUCT: Final = (
    "I bought this {noun} for {use}.",
    "The {part} is about what you would expect.",
    "I compared the {part} with that of another {noun}.",
    "{person} uses it for {use}.",
    "I needed a new {noun} {deal}.",
    "The {part} is {quality}, the {part} a bit {flaw}.",
)
GOOD_ANY: Final = (
    "I love it!",
    "It is {good}.",
    "Works exactly as described and arrived on time.",
    "I would buy it again.",
    "I highly recommend it to anyone.",
    "You can't beat it {deal}.",
    "{person} loves it.",
    "So far so good after {time}.",
    "I am very happy with this purchase.",
    "Great value {deal}.",
    "It came quickly and was well packed.",
    "I have had it for {time} and it is still {good}.",
    "Quality is {good}, no complaints at all.",
    "I already ordered a second one for a friend.",
    "I was skeptical at first, but it turned out to be {good}.",
    "Five stars from me.",
)
BAD_ANY: Final = (
    "It is {bad}.",
    "I would not buy it again.",
    "I am sending it back.",
    "Save your money.",
    "Customer service was no help.",
    "It lasted {time} and that was it.",
    "I expected more {deal}.",
    "I wish I had read the reviews first.",
    "What I got is not what the picture shows.",
    "The quality is {bad}.",
    "{person} said it is {bad}, and I agree.",
    "One star is too many.",
)
NEUTRAL_ANY: Final = (
    "I bought it {deal}.",
    "It is okay, nothing special.",
    "I have been using it for {time} now.",
    "Shipping took about {time}.",
    "I got it {deal} and did not know what to expect.",
    "{person} told me about it.",
    "Hope this helps someone.",
    "I will update this review after {time}.",
    "There are pros and cons, as with everything.",
    "To be fair, I have only had it for {time}.",
)
SHORT_GOOD: Final = (
    "Great product, works as described.", "Love it!", "Perfect.", "Five stars!", "Excellent", "Very good product.",
    "Great!!", "Exactly what I was looking for.", "good", "Just as described, fast shipping.", "Nice quality.",
    "Awesome product, would buy again.", "Works great", "{person} loves it!", "Great item, great price, thank you.",
    "As advertised.", "Very happy with it.", "Love this {noun}!", "Great {noun}.", "It was a gift and they loved it.",
)  # fmt: skip
SHORT_BAD: Final = (
    "Did not work.", "Not as described.", "Very disappointed.", "Waste of money", "Poor quality.", "Returned it.",
    "Do not buy!", "Broke after {time}.", "Terrible", "Not worth the money.", "Not happy with this {noun}.",
)  # fmt: skip
SHORT_NEUTRAL: Final = (
    "It's ok.", "Average.", "Okay for the price.", "Not bad, not great.", "It is what it is.", "So so",
    "Okay {noun}, nothing more.",
)  # fmt: skip
HEADLINE_GOOD: Final = (
    "Five Stars", "Five Stars", "Five Stars", "Great product", "Love it!", "Great {noun}", "Perfect for {use}",
    "Excellent", "Highly recommended", "Very happy", "Works great", "Nice {noun}", "Great value", "Exactly as described",
    "Best {noun} I have owned", "So {quality}!", "Good buy {deal}", "Awesome!",
)  # fmt: skip
HEADLINE_BAD: Final = (
    "One Star", "One Star", "Disappointed", "Don't buy", "Waste of money", "Poor quality", "Not worth it", "Returned",
    "Bad {part}", "Broke after {time}", "Terrible {noun}", "Too {flaw}", "Two Stars", "Beware",
)  # fmt: skip
HEADLINE_NEUTRAL: Final = (
    "Three Stars", "Three Stars", "It's okay", "Average {noun}", "Not bad", "Good, not great", "Okay for {use}",
    "Mixed feelings", "Decent {noun}", "Meh",
)  # fmt: skip
