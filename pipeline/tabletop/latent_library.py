"""The clips that a transformer learns from: taken in as they are rendered, and drawn at half or at full size."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from diffusers import AutoencoderKLLTXVideo

from pipeline.errors import BadRequest
from pipeline.tabletop.data import chunks_on_disk
from pipeline.tabletop.latents import LatentChunk, Sample, cache_folder, cached_chunk, draw_sample
from pipeline.tabletop.lessons import Lesson

SHARES: Final = {"text": 0.54, "first": 0.12, "head": 0.14, "last": 0.04, "ends": 0.05, "tail": 0.05, "bridge": 0.06}
"""How often each kind of task is trained; everything but text gives some frames."""

TOKENS: Final = 4096
"""Latent tokens in a batch."""

HALF_SHARES: Final = ((0.25, 1.0), (0.7, 0.5), (1.0, 0.1))
"""Share of batches at half the side, up to a share of the time: composition is learned there at a fraction of the
cost (such batches have half the tokens, and still twice the clips), and carries over within a few hundred steps."""


class LatentLibrary:
    """The clips on disk as latents, at half or full size; `refresh` takes in what was rendered since."""

    def __init__(self, vae: AutoencoderKLLTXVideo, work: Path, half: bool, worlds: Sequence[str] = ("plain",)) -> None:
        self.vae, self.chunks, self.half, self.worlds = vae, work / "chunks", half, worlds
        self.folder = cache_folder(vae, work / "latents", half)
        self.parts: dict[Path, list[LatentChunk]] = {}

    def refresh(self) -> None:
        """Take in the chunks that are not yet in."""
        for path in (path for world in self.worlds for path in chunks_on_disk(self.chunks, world)):
            if path not in self.parts:
                self.parts[path] = cached_chunk(self.vae, path, self.folder, self.half)

    def draw(self, tokens: int = TOKENS) -> Sample:
        """A batch of one shape, of about so many tokens, or half of them at half the size."""
        chunks = [chunk for parts in self.parts.values() for chunk in parts]
        return draw_sample(chunks, tokens // 2 if self.half else tokens, SHARES)

    def draw_lesson(self, lesson: Lesson, tokens: int = TOKENS) -> Sample:
        """A batch of clips that are hard to learn from."""
        return lesson.draw([chunk for parts in self.parts.values() for chunk in parts], tokens)


def filled_library(vae: AutoencoderKLLTXVideo, work: Path, half: bool, world: str) -> LatentLibrary:
    """The clips of a training's folder; raise BadRequest where there are none."""
    library = LatentLibrary(vae, work, half, (world,))
    library.refresh()
    if not library.parts:
        raise BadRequest("work", f"There are no clips in {library.chunks}. Render some with `make train`.")
    return library


def half_share(progress: float, learned: bool = False) -> float:
    """Share of batches at half size at this point of the training.

    One that goes on from what was `learned` has none: at half the side solids are a latent or two across.
    """
    return 0.0 if learned else next(share for until, share in HALF_SHARES if progress <= until)


def wanted(small: LatentLibrary, full: LatentLibrary, share: float) -> list[LatentLibrary]:
    """The libraries that batches are drawn from at a share of half size."""
    return [library for library, drawn in ((small, share > 0), (full, share < 1)) if drawn]
