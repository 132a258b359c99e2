"""Captions say what the program is, in words that the tokenizer knows."""

from random import Random

import pytest

from pipeline.tabletop.captions import COLOUR_WORDS, FLOOR_WORDS, SHAPE_WORDS, SKY_WORDS, caption, vocabulary, words_of
from pipeline.tabletop.network import TEXT_LENGTH
from pipeline.tabletop.tokens import make_tokenizer
from pipeline.tabletop.world import draw_program


def test_every_caption_is_known_to_the_tokenizer_and_fits() -> None:
    tokenizer = make_tokenizer()
    for seed in range(500):
        ids = tokenizer(caption(draw_program(Random(seed)), Random(seed))).input_ids
        assert tokenizer.unk_token_id not in ids
        assert len(ids) <= TEXT_LENGTH


def test_a_complete_caption_names_colour_solid_floor_and_sky() -> None:
    for seed in range(100):
        program = draw_program(Random(seed))
        text = caption(program, Random(seed), complete=True)
        first = program.solids[0]
        for table, key in (
            (COLOUR_WORDS, first.colour),
            (SHAPE_WORDS, first.shape),
            (FLOOR_WORDS, program.floor),
            (SKY_WORDS, program.sky),
        ):
            assert any(word in text for word in table[key])


def test_captions_of_recoloured_clips_name_no_colour() -> None:
    colours = {word for words in COLOUR_WORDS.values() for phrase in words for word in phrase.split()}
    for seed in range(200):
        text = caption(draw_program(Random(seed)), Random(seed), coloured=False)
        assert not colours & set(words_of(text))


def test_captions_vary() -> None:
    program = draw_program(Random(0))
    assert len({caption(program, Random(seed)) for seed in range(50)}) > 25


@pytest.mark.parametrize("word", ["red", "ball", "rolls", "snow", "sunset", "camera", "left"])
def test_the_vocabulary_holds_plain_words(word: str) -> None:
    assert word in vocabulary()


def test_unknown_words_become_unk_and_case_and_commas_do_not_matter() -> None:
    tokenizer = make_tokenizer()
    ids = tokenizer("A Red dragon, on SNOW").input_ids
    assert ids.count(tokenizer.unk_token_id) == 1
    assert ids[-1] == tokenizer.eos_token_id
