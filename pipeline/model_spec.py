"""What a row of the registry says of a model: what it can do, its grid, limits, settings and costs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import floor
from typing import Literal

from pipeline.frames import Network, noise_levels, shifted_levels, snap_frames

MOST_SECONDS = 60
"""How long a take of chunks may play."""

APACHE = "https://www.apache.org/licenses/LICENSE-2.0"
EVERYTHING = ("text", "animate", "restyle", "transition", "loop", "extend", "storyboard")

CHAINED = ("text", "animate", "extend", "storyboard")
"""Tasks whose takes may be made of chunks."""


@dataclass(frozen=True)
class Chunks:
    """What long takes are made of: so many frames at once, of which the first ones are the `overlap` with those before.

    Both are of the form grid·k + 1. Without an overlap, each is made from the latents of those before, which the model
    remembers: its takes are whole chunks.
    """

    frames: int
    overlap: int


@dataclass(frozen=True)
class Upsampler:
    """A model that doubles both sides of latents, and the noise levels from which the main model refines the result.

    Sides of up to `max_side` pixels come out of it.
    """

    repo: str
    revision: str
    levels: tuple[float, ...]
    adain_factor: float
    tone_map_compression_ratio: float
    max_side: int
    memory_mb: int


@dataclass(frozen=True)
class Parts:
    """The parameters of a model's parts in billions, and what an autoencoder needs beside its own.

    `vae_bytes` is the size of its numbers, `decode_kb_per_pixel` what decoding holds for each pixel of a frame, and
    `tile` the side in pixels of the tiles that frames can be decoded in.
    """

    transformer: float
    text_encoder: float
    vae: float
    vae_bytes: int = 2
    decode_kb_per_pixel: float = 0.0
    tile: int = 512


@dataclass(frozen=True)
class Windows:
    """How many latent frames are decoded at once, and how many neighbours stand on each side of them."""

    keep: int
    context: int


@dataclass(frozen=True)
class ModelSpec:
    """One model. Sides in pixels, memory in MB, what it downloads in GB; `licence_url` is read before its first use.

    `pipeline` is the diffusers class that runs it. `weights` is the (repository, file) of its transformer and
    autoencoder where they are not in `repo`; `patch` the latents on each side of a token. `pins` says at which frames
    something can be given, `soft_pins` whether with a strength below 1, `edits` whether a clip can be taken up at a
    noise level, `rolls` whether its latents can be turned in time (loops of words).

    Speeds are a first guess until this machine has finished a run: for the embedded model on two CPU cores, for a
    hosted one on the data-centre card of its published figures. `memory_mb` are all weights, side by side; `parts` are
    those weights one by one, and `memory_kb_per_token` is what a forward holds beside them.

    A take that is longer than `max_frames` is made of `chunks`; a model without them makes none. A `pyramid` is the
    number of its stages: each has its share of the steps, the first at a small size, each at twice that of the one
    before. `memory` are the latent frames that it remembers at every step, in patches of 1, 2 and 4 times the size.

    `windows` is how its latents are decoded, one after the other where the decoder remembers. For the embedded model,
    with two neighbours no pixel differs by more than 2 of 255 from decoding the clip as a whole (tests/test_ltx.py);
    more of either costs memory or time. LTX-Video's 121 frames, 16 latent ones, are one window; longer clips are cut
    with the context that a loop gets too, and how much of it the real decoder looks at, only its weights show.

    `levels` are the noise levels that a distilled model was taught, and `edit_levels` those below which it edits a
    clip; without any, the schedule is that of `flow_shift`, or linear-quadratic where that is None. `strengths` are
    noise levels by name where nobody has calibrated them. `blend` is the noise level at which a dissolve of two
    clips is taken up and made into one, `seam_guidance` how strongly a loop's seam is guided at most. `late_guidance`
    is the share of the guidance that is left once shapes and motion are there, of takes that begin as noise alone.
    """

    name: str
    title: str
    repo: str
    family: str
    pipeline: str
    licence: str
    tasks: tuple[str, ...]
    grid: int
    frame_grid: int
    side_stride: int
    fps: int
    min_side: int
    max_side: int
    frames: int
    max_frames: int
    shapes: Mapping[str, tuple[int, int]]
    shape: str
    steps: int
    max_steps: int
    guidance_scale: float
    max_guidance_scale: float
    network: Network
    memory_mb: int
    parts: Parts
    memory_kb_per_token: float
    gflops_per_second: float
    decode_megapixels_per_second: float
    revision: str = "main"
    weights: tuple[str, str] | None = None
    patch: int = 1
    knows: str | None = None
    dtype: str = "bfloat16"
    min_steps: int = 1
    pins: Literal["any", "first", "none"] = "any"
    soft_pins: bool = True
    edits: bool = True
    rolls: bool = True
    blend: float = 0.909
    seam_guidance: float | None = None
    late_guidance: float = 1.0
    licence_url: str = ""
    download_gb: float = 0.0
    negative_prompt: str = ""
    levels: tuple[float, ...] = ()
    edit_levels: tuple[float, ...] = ()
    strengths: Mapping[str, float] = field(default_factory=dict)
    flow_shift: float | None = None
    decode_timestep: float | None = None
    decode_noise_scale: float | None = None
    upsampler: Upsampler | None = None
    windows: Windows = Windows(keep=1, context=0)
    chunks: Chunks | None = None
    pyramid: int = 1
    memory: tuple[int, int, int] = (0, 0, 0)

    @property
    def embedded(self) -> bool:
        """True when the weights ship in assets/, so that no download is needed."""
        return self.revision == "embedded"

    @property
    def remembers(self) -> bool:
        """True where a take is made of whole chunks, each from the latents of those before."""
        return self.chunks is not None and not self.chunks.overlap

    def guided_by(self, asked: float | None) -> float:
        """Return the guidance scale of a take of which so much is asked, None for the model's own."""
        return self.guidance_scale if asked is None else asked

    def snap(self, frames: float) -> int:
        """Return the nearest length that a model makes; ties go up."""
        if self.chunks is None or not self.remembers:
            return snap_frames(frames, self.frame_grid)
        return self.chunks.frames * max(floor(frames / self.chunks.frames + 0.5), 1)

    def most_frames(self, task: str) -> int:
        """Return the frames of the longest take of a task: a minute where it can be made of chunks."""
        chained = self.chunks is not None and task in CHAINED
        return max(self.snap(MOST_SECONDS * self.fps + 1), self.max_frames) if chained else self.max_frames

    def levels_from(self, start: float, steps: int) -> list[float]:
        """Return the noise levels of a denoising of so many steps, from one of them on; 0 at the end is left out."""
        if self.levels:
            return list(self.levels) if start >= 1 else [start, *(level for level in self.edit_levels if level < start)]
        if self.flow_shift is not None:
            return shifted_levels(steps, self.flow_shift, start)
        return noise_levels(steps, start)
