"""The whole world in words: plain scenes as ever, stories told, what given frames show left out where it should be."""

from dataclasses import replace
from random import Random

import pytest

from pipeline.settings import ROOT
from pipeline.tabletop.captions import COLOUR_WORDS, SHAPE_WORDS, caption, vocabulary, words_of
from pipeline.tabletop.network import TEXT_LENGTH
from pipeline.tabletop.scenes import draw_kind, draw_scene
from pipeline.tabletop.telling import Telling, hidden_solid, is_plain, known_words, more_words, tell
from pipeline.tabletop.tokens import load_tokenizer, make_tokenizer, words_in_order
from pipeline.tabletop.world import draw_program

COLOUR_NAMES = {word for words in COLOUR_WORDS.values() for phrase in words for word in phrase.split()} - {"dark"}
SHAPE_NAMES = {word for words in SHAPE_WORDS.values() for word in words}


def test_a_plain_program_of_one_solid_is_told_as_ever() -> None:
    programs = [program for program in map(draw_program, map(Random, range(150))) if len(program.solids) == 1]
    assert len(programs) > 90
    for seed, program in enumerate(programs):
        assert tell(program, Random(seed)).startswith(caption(program, Random(seed)))
        assert tell(program, Random(seed), Telling(False, True)) == caption(program, Random(seed), False, True)
        assert tell(program, Random(seed), Telling(complete=True)) == caption(program, Random(seed), complete=True)


def test_every_telling_is_known_to_the_tokenizer_and_fits() -> None:
    tokenizer = make_tokenizer("whole")
    for seed in range(1500):
        how = Telling(coloured=seed % 5 > 0, complete=seed % 3 == 0, shown=seed % 2 == 0)
        ids = tokenizer(tell(draw_scene(Random(seed)), Random(seed), how)).input_ids
        assert tokenizer.unk_token_id not in ids
        assert len(ids) <= TEXT_LENGTH


def test_the_whole_worlds_words_begin_with_the_plain_ones_and_with_those_of_the_shipped_model() -> None:
    whole = words_in_order(make_tokenizer("whole"))
    assert whole[: len(words_in_order(make_tokenizer()))] == words_in_order(make_tokenizer())
    shipped = words_in_order(load_tokenizer(ROOT / "assets" / "tabletop"))
    assert whole[: len(shipped)] == shipped
    assert known_words("plain") == vocabulary()
    assert {"wall", "behind", "bumps", "follows", "fog", "slowly"} <= set(more_words())
    assert not set(more_words()) & set(vocabulary())


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("behind", {"wall", "fence"}),
        ("before", {"wall", "fence"}),
        ("pushes", {"into", "hits", "bumps", "hit", "pushes"}),
        ("passes", {"front", "past", "hides"}),
        ("follows", {"camera"}),
        ("orbits", {"slowly", "slow", "quickly", "fast"}),
        ("returns", {"back", "returns"}),
    ],
)
def test_a_complete_telling_says_what_happens_to_whom(kind: str, words: set[str]) -> None:
    for seed in range(40):
        program = draw_kind(Random(seed), kind)
        text = tell(program, Random(seed), Telling(complete=True))
        said = set(words_of(text))
        assert said & words
        for solid in program.solids:
            assert any(word in text for word in SHAPE_WORDS[solid.shape])
            assert any(word in text for word in COLOUR_WORDS[solid.colour])
        if program.story:
            assert program.solids[0].motion in said
        if kind in ("orbits", "returns"):
            assert ("right" if program.camera_speed > 0 else "left") in said


@pytest.mark.parametrize("kind", ["behind", "passes", "follows"])
@pytest.mark.parametrize(("unsaid", "names"), [("colour", COLOUR_NAMES), ("solid", SHAPE_NAMES)])
def test_what_only_given_frames_may_show_goes_unsaid(kind: str, unsaid: str, names: set[str]) -> None:
    for seed in range(40):
        base = draw_kind(Random(seed), kind)
        index = hidden_solid(base)
        assert index is not None
        # Floors and skies have colours of their own.
        program = replace(base, floor="sand", sky="night")
        said = words_of(tell(program, Random(seed), Telling(complete=True, unsaid=frozenset({unsaid}))))
        others = len(program.solids) - 1
        assert len([word for word in said if word in names]) == others


def test_more_goes_unsaid_where_the_first_frames_are_given() -> None:
    def without_colour(shown: bool) -> int:
        programs = [draw_kind(Random(seed), "behind") for seed in range(400)]
        texts = [tell(program, Random(f"{i}"), Telling(shown=shown)) for i, program in enumerate(programs)]
        return sum(
            not any(word in text for word in COLOUR_WORDS[program.solids[0].colour])
            for program, text in zip(programs, texts, strict=True)
        )

    assert without_colour(True) > 2 * without_colour(False) > 0


def test_given_frames_have_to_tell_the_solid_more_often_than_words_do() -> None:
    programs = [draw_kind(Random(seed), "behind") for seed in range(400)]
    tellings = [tell(program, Random(f"{i}"), Telling(shown=True)) for i, program in enumerate(programs)]
    named = sum(bool(SHAPE_NAMES & set(words_of(text))) for text in tellings)
    assert 0.25 * len(tellings) < named < 0.5 * len(tellings)


def test_tellings_vary_and_recoloured_clips_have_no_colours() -> None:
    for kind in ("behind", "pushes", "passes", "follows", "orbits"):
        program = draw_kind(Random(1), kind)
        assert not is_plain(program)
        assert len({tell(program, Random(seed)) for seed in range(60)}) > 35
        for seed in range(40):
            assert not (COLOUR_NAMES | {"black", "grey"}) & set(words_of(tell(program, Random(seed), Telling(False))))
