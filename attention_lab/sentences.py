"""Sentences for looking into the pretrained encoder, written for this course."""

from dataclasses import dataclass

SENTENCES = (
    "The cat drank the milk because it was thirsty.",
    "A small boat crossed the wide river before the storm came.",
    "She gave her brother the old book that he had wanted.",
    "Two engineers repaired the broken bridge in one night.",
    "The teacher asked the children to draw a map of their street.",
    "Fresh bread costs more in the city than in the village.",
    "He forgot his keys and had to wait for his neighbour.",
    "The museum opens at nine and closes late on Fridays.",
    "Nobody knew why the lights in the hall were still on.",
    "The doctor read the letter twice and then called the nurse.",
    "Rain fell on the roof all night, but the cellar stayed dry.",
    "My sister plays the violin in a large orchestra.",
    "The train to the coast was late again this morning.",
    "If you boil water on a mountain, it boils at a lower temperature.",
    "The new law protects birds that breed on the ground.",
    "They sold their house and moved to a smaller town.",
    "The dog barked at the postman until the door opened.",
    "A good map shows the hills as well as the roads.",
    "The company hired forty people and lost ten of them.",
    "He painted the fence green because she likes the colour.",
    "The moon rose slowly over the quiet harbour.",
    "Our team won the match although two players were hurt.",
    "The farmer counted his sheep and found that one was missing.",
    "You should save your work before you close the program.",
    "The glass fell from the table and broke into small pieces.",
    "Old trees give shade to the people who rest under them.",
    "The judge listened to both sides before she decided.",
    "A child can learn two languages at the same time.",
    "The recipe needs three eggs, some flour and a little salt.",
    "Scientists measured the height of the ice every summer.",
    "The pilot saw the lights of the runway through the fog.",
    "His answer was short, polite and completely wrong.",
    "The river is deep here, so nobody swims in it.",
    "The students compared their results with those of last year.",
    "She closed the window because the noise disturbed her.",
    "The shop around the corner sells tea from many countries.",
    "We walked along the beach and looked for shells.",
    "The actor thanked the audience and left the stage.",
    "An old clock in the hall struck twelve.",
    "The price of oil fell sharply after the meeting.",
    "The baker gets up at three and sells his first rolls at six.",
    "Most of the letters were written by hand.",
    "The committee will publish its report next month.",
    "He carried the heavy box up the stairs without a break.",
    "The tourists photographed the tower from every side.",
    "Snow covered the fields, and the road could not be seen.",
    "The singer lost her voice two days before the concert.",
    "They planted apple trees where the factory used to be.",
    "The librarian found the missing page in another book.",
    "Every house in the valley has a garden.",
    "The children were told a story about a clever fox.",
    "A strong wind pushed the sailing boat towards the rocks.",
    "The mayor promised to build a school near the station.",
    "The phone rang, but when she answered nobody spoke.",
    "This bridge is older than the city that surrounds it.",
    "The mechanic explained what was wrong with the engine.",
    "Bees find flowers by their colour and their smell.",
    "After the rain the streets were full of people again.",
    "The cook tasted the soup and added a pinch of pepper.",
    "He learned to read when he was already forty years old.",
)


@dataclass(frozen=True)
class Pronoun:
    """A sentence in which a pronoun stands for one of two nouns.

    Attributes:
        pronoun: as a token of the encoder; its last occurrence is meant.
        stands_for: the noun that is meant.
    """

    sentence: str
    pronoun: str
    stands_for: str


# The subject is meant: the noun at the start of the sentence.
SUBJECT_MEANT = (
    Pronoun("The cat drank the milk because it was thirsty.", "it", "cat"),
    Pronoun("The farmer sold his horse because he was old.", "he", "farmer"),
    Pronoun("The window rattled in the wind because it was loose.", "it", "window"),
    Pronoun("The boys lost the game although they played well.", "they", "boys"),
    Pronoun("Anna called the office when she had time.", "she", "anna"),
    Pronoun("My uncle fixed the radio before he went home.", "he", "uncle"),
    Pronoun("The bridge was closed because it had a crack.", "it", "bridge"),
    Pronoun("The nurses left the ward after they had eaten.", "they", "nurses"),
    Pronoun("The judge read the letter and then she smiled.", "she", "judge"),
    Pronoun("The dog chased the ball until it was tired.", "it", "dog"),
    Pronoun("Peter opened the box which he had found.", "he", "peter"),
    Pronoun("The students asked for a map because they were lost.", "they", "students"),
    Pronoun("The boat left the harbour before it sank.", "it", "boat"),
    Pronoun("The baker burned the bread because he was asleep.", "he", "baker"),
    Pronoun("The trees lost their leaves when they grew old.", "they", "trees"),
    Pronoun("The queen thanked the crowd when she left.", "she", "queen"),
    Pronoun("The train stopped in the tunnel because it was broken.", "it", "train"),
    Pronoun("Maria sold the house because she needed money.", "she", "maria"),
    Pronoun("The wolves left the valley when they heard the guns.", "they", "wolves"),
    Pronoun("The clock in the hall stopped because it was dusty.", "it", "clock"),
)

# The object is meant: the noun nearer to the pronoun.
OBJECT_MEANT = (
    Pronoun("The cat drank the milk because it was warm.", "it", "milk"),
    Pronoun("The farmer sold his horse because it was lame.", "it", "horse"),
    Pronoun("The judge read the letter because it was urgent.", "it", "letter"),
    Pronoun("The baker burned the bread because it was thin.", "it", "bread"),
    Pronoun("The man thanked the women when they left.", "they", "women"),
    Pronoun("My uncle fixed the radio after it broke.", "it", "radio"),
    Pronoun("The girl fed the birds because they were hungry.", "they", "birds"),
    Pronoun("The nurse called the doctors before they went home.", "they", "doctors"),
    Pronoun("The woman opened the box after it arrived.", "it", "box"),
    Pronoun("The mayor opened the bridge when it was finished.", "it", "bridge"),
    Pronoun("The teacher praised the children because they sang well.", "they", "children"),
    Pronoun("The boy dropped the glass and it broke.", "it", "glass"),
    Pronoun("The king built the towers before they were needed.", "they", "towers"),
    Pronoun("The thief took the watch because it looked new.", "it", "watch"),
    Pronoun("The cook tasted the soup while it was hot.", "it", "soup"),
    Pronoun("The girl lost the keys because they were small.", "they", "keys"),
)
