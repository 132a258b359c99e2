"""Of two solids it is told which stands on the left, by words or by who is named first, and whence the light comes."""

import re
from random import Random

import pytest

from pipeline.settings import ROOT
from pipeline.tabletop.captions import COLOUR_WORDS, SHAPE_WORDS, vocabulary
from pipeline.tabletop.latents import mirror
from pipeline.tabletop.sides import tell_light
from pipeline.tabletop.suites import SUITES, draw_cases
from pipeline.tabletop.telling import Telling, known_words, more_words, tell, words_of_sides
from pipeline.tabletop.tokens import load_tokenizer, words_in_order
from pipeline.tabletop.truth import middles, shadow_side
from pipeline.tabletop.world import Program, Solid, draw_program

COMPLETE = Telling(complete=True)
SIDE = r"(?:on the|to the|on its) (left|right)"


def pairs(count: int) -> list[Program]:
    programs = (draw_program(Random(seed)) for seed in range(20 * count))
    return [one for one in programs if len(one.solids) == 2 and one.camera == "stands"][:count]


def named_at(solid: Solid, text: str) -> int:
    """Where a solid is named."""
    looks = (rf"\b{colour} {shape}\b" for colour in COLOUR_WORDS[solid.colour] for shape in SHAPE_WORDS[solid.shape])
    found = re.search("|".join(looks), text)
    assert found, text
    return found.start()


def left_by_words(text: str, places: list[int]) -> int:
    """Which of two solids, named at two places, a reader takes to stand on the left."""
    first = places.index(min(places))
    said = re.search(SIDE, text)
    if not said:
        return first
    before = "on the" in said[0] and said.start() < min(places)
    if " of " in text[said.end() : said.end() + 4] or before:
        named = first
    elif said[0].startswith("on its"):
        named = 1 - first
    else:
        named = max((place, index) for index, place in enumerate(places) if place < said.start())[1]
    return named if said[1] == "left" else 1 - named


def test_whoever_reads_a_telling_knows_which_of_two_solids_stands_on_the_left() -> None:
    sided = 0
    for program in pairs(60):
        first, second = middles(program)[:, 0, 0].tolist()
        for seed in range(12):
            text = tell(program, Random(seed), COMPLETE)
            places = [named_at(solid, text) for solid in program.solids]
            assert left_by_words(text, places) == (0 if first < second else 1), text
            sided += bool(re.search(SIDE, text))
    assert 0.4 < sided / 720 < 0.6


def test_a_mirrored_pair_is_told_otherwise() -> None:
    for seed, program in enumerate(pairs(30)):
        assert tell(program, Random(seed), COMPLETE) != tell(mirror(program), Random(seed), COMPLETE)


def test_a_complete_telling_names_both_and_says_what_the_first_does() -> None:
    for seed, program in enumerate(pairs(40)):
        text = tell(program, Random(seed), COMPLETE)
        assert sum(named_at(solid, text) >= 0 for solid in program.solids) == 2
        assert tell(program, Random(seed), Telling(coloured=False)).count("  ") == 0
        assert text.count("  ") == 0


def test_the_light_comes_from_the_side_away_from_which_shadows_fall() -> None:
    for seed in range(60):
        program = draw_program(Random(seed))
        said = re.findall("left|right", tell_light(program, Random(seed)))
        assert said == ["left" if shadow_side(program)[0, 0] > 0 else "right"]
        assert "sun" not in tell_light(program, Random(seed)) or program.sky != "night"


def test_the_light_is_told_of_now_and_then_or_where_it_must_be() -> None:
    programs = [draw_program(Random(seed)) for seed in range(300)]
    told = [program for i, program in enumerate(programs) if is_lit(tell(program, Random(i)))]
    assert 60 < len(told) < 120
    assert not any(is_lit(tell(program, Random(i), COMPLETE)) for i, program in enumerate(programs))
    assert all(is_lit(tell(program, Random(i), Telling(complete=True, lit=True))) for i, program in enumerate(programs))
    assert not any(is_lit(tell(program, Random(i), Telling(coloured=False))) for i, program in enumerate(programs))


def is_lit(text: str) -> bool:
    """Whether a text says from which side the light comes."""
    return bool(re.search(r"\b(light|lit|sun)( comes| is)? (on|from) the (left|right)$", text))


@pytest.mark.parametrize(("suite", "lit"), [("resting", True), ("mirrored", False), ("second object", False)])
def test_where_shadows_are_judged_the_prompt_says_whence_the_light_comes(suite: str, lit: bool) -> None:
    (asked,) = (one for one in SUITES if one.name == suite)
    assert [is_lit(case.prompt) for case in draw_cases(asked, 8)] == [lit] * 8


def test_the_words_of_sides_come_last_and_the_shipped_model_knows_them() -> None:
    assert known_words("whole") == [*vocabulary(), *more_words(), *words_of_sides()]
    shipped = words_in_order(load_tokenizer(ROOT / "assets" / "tabletop"))
    assert {"its", "lit", "light", "left", "side"} <= set(shipped)
