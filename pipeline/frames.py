"""Pure arithmetic of frames, sizes, tokens and operations."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Network:
    """The sizes of a diffusion transformer that decide what one forward costs."""

    layers: int
    width: int
    ffn: int
    text_tokens: int


# Latent frames of the other end that stand on each side of a loop when it is decoded: the decoder sees so far.
LEAD = 4


@dataclass(frozen=True)
class Window:
    """A stretch of latent frames start..stop to decode, and which of its decoded frames to keep."""

    start: int
    stop: int
    skip: int
    take: int


def snap_frames(frames: float, grid: int) -> int:
    """Return the nearest count of the form grid·k + 1, at least 1; ties go up."""
    return grid * math.floor((max(frames, 1) - 1) / grid + 0.5) + 1


def snap_side(side: int, grid: int) -> int:
    """Return the nearest positive multiple of grid (pixels); ties go up."""
    return grid * max((side + grid // 2) // grid, 1)


def scale_to(size: tuple[int, int], lines: int) -> tuple[int, int]:
    """Return a size (width, height) scaled until its shorter side has so many pixels; both sides even."""
    scale = lines / min(size)
    width, height = (2 * round(side * scale / 2) for side in size)
    return width, height


def frames_for(seconds: float, fps: int) -> float:
    """Return the frames, not yet rounded, that span a time with both its ends: 2 s at 8 fps are 17."""
    return seconds * fps + 1


def seconds_of(frames: int, fps: int) -> float:
    """Return how long that many frames play, in seconds."""
    return frames / fps


def latent_shape(frames: int, height: int, width: int, time_stride: int, side_stride: int) -> tuple[int, int, int]:
    """Return the latent (frames, height, width) of a clip; the first latent frame is one picture."""
    return (frames - 1) // time_stride + 1, height // side_stride, width // side_stride


def forward_flops(network: Network, tokens: int) -> float:
    """Return the floating-point operations of one forward without guidance.

    layers · (12Nd² + 4Nd·f + 4N²d + 4N·L·d + 4L·d²): projections of self- and cross-attention,
    the feed-forward net, self-attention, cross-attention, and the text's keys and values.
    """
    n, d, text = tokens, network.width, network.text_tokens
    projections = 12 * n * d**2 + 4 * n * d * network.ffn
    attention = 4 * n**2 * d + 4 * n * text * d
    return float(network.layers * (projections + attention + 4 * text * d**2))


def denoise_flops(network: Network, tokens: int, steps: int, guidance_scale: float) -> float:
    """Return the operations of a whole denoising; guidance above 1 runs every forward twice."""
    forwards = steps * (2 if guidance_scale > 1 else 1)
    return forwards * forward_flops(network, tokens)


def decode_windows(latent_frames: int, time_stride: int, keep: int, context: int) -> list[Window]:
    """Split latent frames into windows of `keep`, each decoded with `context` more on both sides.

    Short clips are one window. All windows of a long one are equally long, because every new length costs memory of its
    own: those at the ends have more context on their inner side. Latent frame 0 is one frame, every other one is
    time_stride frames; a window's own first latent frame decodes to one frame only, so it must be context unless it is
    frame 0.
    """
    if latent_frames <= keep + 2 * context:
        return [Window(0, latent_frames, 0, (latent_frames - 1) * time_stride + 1)]
    length, windows = keep + 2 * context, []
    for first in range(0, latent_frames, keep):
        last = min(first + keep, latent_frames)
        start = min(max(first - context, 0), latent_frames - length)
        frame, end = max((first - 1) * time_stride + 1, 0), (last - 1) * time_stride + 1
        windows.append(Window(start, start + length, frame - start * time_stride, end - frame))
    return windows


def context_frames(available: int, grid: int) -> int:
    """Return how many real frames stand beside what is made: 2·grid + 1, grid + 1 or 1, or 0 where there is none.

    Several frames show where things are going; a still would not.
    """
    return next((frames for frames in (2 * grid + 1, grid + 1, 1) if frames <= available), 0)


def place_window(wanted: tuple[int, int], frames: int, grid: int) -> tuple[int, int, int, int]:
    """Return (first frame to make, context before it, frames to make, context after them) for a range of a clip.

    The window, context and all, is of the form grid·k + 1. Of the places that do not begin after the range, the one is
    taken that holds most of it, then the one that makes the fewest frames and begins latest.
    """
    begins, ends = wanted
    places = [
        (max(ends - first - made, 0), made, begins - first, before, after)
        for first in range(max(begins - grid, 0), begins + 1)
        for before in [context_frames(first, grid)]
        for made in range(1, frames - first + 1)
        for after in [context_frames(frames - first - made, grid)]
        if (before + made + after) % grid == 1
    ]
    _, made, earlier, before, after = min(places)
    return begins - earlier, before, made, after


def noise_levels(steps: int, start: float = 1.0, threshold: float = 0.025) -> list[float]:
    """Return the noise levels of a denoising from one of them on, as many as the whole schedule has below it.

    Half of a whole schedule's steps go evenly through the first 2.5 % below 1, the others quadratically to 0, which is
    left out (linear-quadratic schedule, Movie Gen, 2024; LTX-Video uses it).
    """
    slow, fast = steps // 2, steps - steps // 2
    slope = threshold / max(slow, 1)
    bend = (1 - threshold - slope * fast) / fast**2
    levels = [1 - slope * i for i in range(slow)]
    levels += [1 - threshold - slope * i - bend * i * i for i in range(fast)] if slow else [1.0]
    return levels if start >= 1 else [start, *(level for level in levels if level < start - 1e-6)]


def shifted_levels(steps: int, shift: float, start: float = 1.0) -> list[float]:
    """Return those noise levels of a denoising that are not above one by more than 0.001; there is always one.

    Levels fall evenly from 1 to almost 0 and are then shifted towards 1, s·t / (1 + (s − 1)·t), as flow matching does
    for large pictures (Stable Diffusion 3, 2024; Wan uses it with UniPC).
    """
    even = [1 - index * 0.999 / steps for index in range(steps)]
    levels = [shift * level / (1 + (shift - 1) * level) for level in even]
    return [level for level in levels if level <= start + 1e-3] or levels[-1:]
