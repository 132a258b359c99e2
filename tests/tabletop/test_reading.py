"""Before anything is painted, a text encoder learns to tell whose each word is: a bag of words cannot."""

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch

from pipeline.tabletop.captions import words_of
from pipeline.tabletop.labels import UNSEEN
from pipeline.tabletop.network import make_text_encoder
from pipeline.tabletop.reading import OWN, Reader, own_labels, owners, scene_labels
from pipeline.tabletop.scenes import draw_kind
from pipeline.tabletop.sides import says_light
from pipeline.tabletop.telling import tell
from pipeline.tabletop.tokens import make_tokenizer
from pipeline.tabletop.train_text import draw_programs, read_batch, teach_reading
from pipeline.tabletop.world import Program, draw_program, held_out


def pair() -> Program:
    """A red ball that stands on the left of a blue cube."""
    drawn = next(one for seed in range(99) if len((one := draw_program(Random(seed))).solids) == 2)
    ball, cube = sorted(drawn.solids, key=lambda solid: solid.x)
    ball = replace(ball, shape="ball", colour="red", motion="bounces")
    cube = replace(cube, shape="cube", colour="blue", motion="stays")
    return replace(drawn, solids=(ball, cube))


def test_each_word_of_a_noun_phrase_belongs_to_its_solid_and_to_no_other() -> None:
    words = words_of("there is a shiny red ball next to the dark blue box, on blue ice")
    assert owners(words, pair()) == [None, None, *[0] * 4, None, None, *[1] * 4, *[None] * 4]
    told = own_labels(words, pair(), coloured=True)
    sides = [row[list(OWN).index("side")] for row in told]
    assert [OWN["side"][side] for side in sides if side != UNSEEN] == ["left"] * 4 + ["right"] * 4
    assert [row[0] for row in own_labels(words, pair(), coloured=False)] == [UNSEEN] * len(words)


def test_two_of_one_shape_are_told_apart_by_their_colours_or_not_at_all() -> None:
    both = pair()
    balls = replace(both, solids=(both.solids[0], replace(both.solids[1], shape="ball")))
    assert owners(words_of("a blue ball and a red ball"), balls) == [1, 1, 1, None, 0, 0, 0]
    assert owners(words_of("a ball and a red ball"), balls) == [None, None, None, 0, 0, 0]
    assert owners(words_of("a thing beside a cone"), balls) == [None] * 5


def test_it_reads_from_programs_that_are_not_held_out_of_every_shape() -> None:
    drawn = draw_programs(Random(1), ["whole", "plain", "hard"], 60)
    assert not any(held_out(program) for program in drawn)
    assert len({(program.width, program.height) for program in drawn}) == 3
    assert {program.story for program in drawn} > {"", "pushes", "behind"}


def test_a_batch_that_says_nothing_teaches_nothing() -> None:
    tokenizer, encoder = make_tokenizer("whole"), make_text_encoder(len(make_tokenizer("whole")), 64, 1)
    assert read_batch(encoder, tokenizer, Reader(encoder), ["", ""], [pair(), pair()]).item() == 0


def test_a_long_sentence_is_read_up_to_where_it_is_cut() -> None:
    tokenizer, encoder = make_tokenizer("whole"), make_text_encoder(len(make_tokenizer("whole")), 64, 1)
    long = "a red ball next to a blue cube" + ", by day" * 40
    assert bool(torch.isfinite(read_batch(encoder, tokenizer, Reader(encoder), [long, "a ball"], [pair(), pair()])))


@pytest.mark.filterwarnings("ignore:Mismatch dtype")
def test_a_text_encoder_learns_to_read_and_takes_up_where_it_was(tmp_path: Path) -> None:
    torch.manual_seed(0)
    tokenizer, programs = make_tokenizer("whole"), draw_programs(Random(2), ["hard"], 60)
    captions = [tell(program, Random(index)) for index, program in enumerate(programs)]
    encoder = make_text_encoder(len(tokenizer), 64, 1)
    reader = Reader(encoder)
    before = read_batch(encoder, tokenizer, reader, captions, programs).item()
    teach_reading(encoder, tokenizer, reader, ["hard"], 0.2, tmp_path)
    after = read_batch(encoder, tokenizer, reader, captions, programs).item()
    assert after < 0.9 * before
    again = make_text_encoder(len(tokenizer), 64, 1)
    second = Reader(again)
    teach_reading(again, tokenizer, second, ["hard"], 0.2, tmp_path)
    assert read_batch(again, tokenizer, second, captions, programs).item() == pytest.approx(after)


@pytest.mark.parametrize(
    ("caption", "said"),
    [
        ("a red ball stays still on snow, lit from the left", True),
        ("a red ball stays still in the sun, the camera pans left, with the sun on the right", True),
        ("a red ball stays still in the sun, the camera pans left", False),
        ("a red ball rolls left", False),
        ("a red ball rolls left in the sun", False),
        ("", False),
    ],
)
def test_whence_the_light_comes_is_read_where_it_is_said(caption: str, said: bool) -> None:
    assert says_light(words_of(caption)) == said
    if caption:
        light = scene_labels([words_of(caption)], [pair()], coloured=True)[0, -1]
        assert (light != UNSEEN) == said


def test_stories_are_read_too() -> None:
    program = draw_kind(Random(3), "pushes")
    words = words_of("a ball bumps into a cube")
    fits = {solid.shape for solid in program.solids}
    assert {solid for solid in owners(words, program) if solid is not None} <= set(range(len(fits)))
