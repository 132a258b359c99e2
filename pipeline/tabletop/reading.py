"""What a text encoder must read off a sentence: what the scene is, and of each noun phrase, whose it is.

A text encoder that learns from the transformer's loss alone stays a bag of words: nothing asks it which colour belongs
to which solid until the transformer can paint two of them, and that needs it to be told apart already. So it learns to
read first, which takes minutes and no clip: each token tells the whole scene, and the words of a noun phrase tell the
looks, the motion and the side of the solid that they name.
"""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import T5EncoderModel

from pipeline.tabletop.captions import COLOUR_WORDS, SHAPE_WORDS, words_of
from pipeline.tabletop.labels import UNSEEN, WHOLE_ATTRIBUTES, labels
from pipeline.tabletop.sides import LEFT_RIGHT, first_is_left, says_light
from pipeline.tabletop.world import COLOURS, MOTIONS, SHAPES, Program

ALONE: Final = "alone"
OWN: Final = {"colour": COLOURS, "solid": SHAPES, "motion": MOTIONS, "side": (ALONE, *LEFT_RIGHT)}
"""What the words of a noun phrase tell of their solid."""

NOBODY: Final = [UNSEEN] * len(OWN)
"""Of words that name no solid."""

SCENE: Final = {**WHOLE_ATTRIBUTES, "light": LEFT_RIGHT}
"""What every word tells of the scene."""

SHAPE_OF: Final = {word: shape for shape, words in SHAPE_WORDS.items() for word in words}
COLOUR_OF: Final = {phrase.split()[-1]: colour for colour, words in COLOUR_WORDS.items() for phrase in words}
ARTICLES: Final = ("a", "an", "the")
LONGEST: Final = 5
"""Words of a noun phrase, article and noun included: "a shiny dark blue ball"."""


def named(words: Sequence[str], at: int, program: Program) -> int | None:
    """Which solid a noun names; None where that cannot be told from its shape and the colour before it."""
    fits = [index for index, solid in enumerate(program.solids) if solid.shape == SHAPE_OF[words[at]]]
    colour = COLOUR_OF.get(words[at - 1]) if at else None
    if len(fits) > 1:
        fits = [index for index in fits if program.solids[index].colour == colour]
    return fits[0] if len(fits) == 1 else None


def owners(words: Sequence[str], program: Program) -> list[int | None]:
    """Of each word of a caption, the solid whose noun phrase it is in."""
    found: list[int | None] = [None] * len(words)
    for at, word in enumerate(words):
        if word in SHAPE_OF and (solid := named(words, at, program)) is not None:
            start = next((back for back in range(at, max(at - LONGEST, -1), -1) if words[back] in ARTICLES), at)
            found[start : at + 1] = [solid] * (at + 1 - start)
    return found


def side_of(program: Program, index: int) -> str:
    """On which side a solid stands as the clip begins, if there are two."""
    if len(program.solids) < 2:
        return ALONE
    return LEFT_RIGHT[first_is_left(program) == (index == 1)]


def own_labels(words: Sequence[str], program: Program, coloured: bool) -> list[list[int]]:
    """Indices into OWN, a row a word; UNSEEN where a word names no solid, or a clip lacks the colour."""
    rows = []
    for owner in owners(words, program):
        if owner is None:
            rows.append(NOBODY)
            continue
        solid = program.solids[owner]
        told = (solid.colour, solid.shape, solid.motion, side_of(program, owner))
        row = [values.index(value) for values, value in zip(OWN.values(), told, strict=True)]
        rows.append(row if coloured else [UNSEEN, *row[1:]])
    return rows


def scene_labels(words: Sequence[Sequence[str]], programs: Sequence[Program], coloured: bool) -> Tensor:
    """Indices into SCENE (programs, attributes) of programs told in words; UNSEEN where light goes unsaid."""
    pairs = zip(words, programs, strict=True)
    light = [int(program.sun > 0) if says_light(said) else UNSEEN for said, program in pairs]
    return torch.cat([labels(list(programs), coloured, "whole"), torch.tensor(light)[:, None]], 1)


WEIGHTS: Final = {"side": 3.0, "light": 3.0}
"""Of what is hardest to read: a rule, or a word that may stand far from the noun."""


class Reader(nn.Module):
    """Linear heads on what a text encoder puts out, needed while it learns only."""

    def __init__(self, text_encoder: T5EncoderModel) -> None:
        super().__init__()
        width = text_encoder.config.d_model
        self.scene = nn.Linear(width, sum(map(len, SCENE.values())))
        self.own = nn.Linear(width, sum(map(len, OWN.values())))
        self.found = torch.empty(0)
        text_encoder.register_forward_hook(self._keep)

    def _keep(self, _module: nn.Module, _inputs: object, output: Sequence[Tensor]) -> None:
        self.found = output[0]

    def loss(self, captions: Sequence[str], programs: Sequence[Program], coloured: bool = True) -> Tensor:
        """What was read wrongly off the last batch of captions: cross entropies, summed over the attributes.

        The captions tell the programs, but for empty ones, off which nothing is read; no colours of recoloured clips.
        """
        read = [index for index, caption in enumerate(captions) if caption]
        if not read:
            return torch.zeros(())
        words = [words_of(captions[index])[: self.found.shape[1] - 1] for index in read]
        told = [programs[index] for index in read]
        counts = torch.tensor([len(said) + 1 for said in words])  # The end of a sentence is a token too.
        tokens = torch.cat([self.found[index, :count] for index, count in zip(read, counts.tolist(), strict=True)])
        scene = scene_labels(words, told, coloured).repeat_interleave(counts, 0)
        pairs = zip(words, told, strict=True)
        own = [row for said, program in pairs for row in (*own_labels(said, program, coloured), NOBODY)]
        parts = ((self.scene, scene, SCENE), (self.own, torch.tensor(own), OWN))
        return sum(
            (wrong(head(tokens.float()), marks.to(tokens.device), of) for head, marks, of in parts), torch.zeros(())
        )


def wrong(scores: Tensor, marks: Tensor, attributes: dict[str, tuple[str, ...]]) -> Tensor:
    """Each attribute's mean cross entropy, summed; nothing where no token tells it. Marks are (tokens, attributes)."""
    parts, off = torch.split(scores, [len(values) for values in attributes.values()], -1), torch.zeros(())
    for name, part, mark in zip(attributes, parts, marks.unbind(-1), strict=True):
        summed = cross_entropy(part, mark, ignore_index=UNSEEN, reduction="sum")
        off = off + WEIGHTS.get(name, 1.0) * summed / (mark != UNSEEN).sum().clamp(min=1)
    return off
