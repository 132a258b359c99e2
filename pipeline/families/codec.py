"""A video autoencoder between frames and normalised latents, in windows of time, so that memory stays flat."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.events import Latents, Pixels
from pipeline.frames import LEAD, decode_windows
from pipeline.model_spec import ModelSpec


class Codec:
    """Encodes and decodes with a diffusers autoencoder whose latents are normalised by a mean and a deviation.

    `statistics` are that mean and deviation of the raw latents, (channels) each; the deviation is divided by the
    autoencoder's scaling factor. `device` is where the autoencoder computes, wherever its weights wait.
    """

    def __init__(self, vae: Any, spec: ModelSpec, statistics: tuple[Tensor, Tensor], device: str) -> None:
        self.vae = vae
        self._spec = spec
        self._mean, self._std = (values.float().view(1, -1, 1, 1, 1) for values in statistics)
        self._windows = spec.windows
        self._device = device

    def tile(self, tiled: bool) -> None:
        """Encode and decode frames in tiles from now on, or whole: slower, with less memory, and a little different."""
        self.vae.enable_tiling() if tiled else self.vae.disable_tiling()

    @torch.no_grad()
    def encode(self, frames: Pixels) -> Tensor:
        """Encode frames (n, height, width, 3) to normalised latents (1, channels, t, h, w)."""
        pixels = torch.from_numpy(frames).to(self._device, self.vae.dtype).permute(3, 0, 1, 2)[None] / 127.5 - 1
        return self.normalised(self.vae.encode(pixels).latent_dist.mode())

    def decode(self, latents: Latents) -> Iterator[Pixels]:
        """Decode window by window into frames (n, height, width, 3), so that memory does not grow with length."""
        yield from self._windowed(self._raw(torch.from_numpy(latents)))

    def decode_loop(self, latents: Latents) -> Pixels:
        """Decode latents that have no beginning: every latent frame among its neighbours, around the end."""
        raw = self._raw(torch.from_numpy(latents))
        around = torch.arange(-LEAD, raw.shape[2] + LEAD, device=raw.device) % raw.shape[2]
        grid, first = self._spec.frame_grid, (LEAD - 1) * self._spec.frame_grid + 1
        frames = np.concatenate(list(self._windowed(raw[:, :, around])))
        return frames[first : first + grid * raw.shape[2]]

    def last_frame(self, latents: Latents) -> Pixels:
        """Decode the last frame (height, width, 3) alone, with the latents before it as its context."""
        end = self._raw(torch.from_numpy(latents))[:, :, -(self._windows.keep + self._windows.context) :]
        last: Pixels = self._frames(end)[-1]
        return last

    def decode_whole(self, latents: Tensor) -> Pixels:
        """Decode latents (1, channels, t, h, w) at once into frames (n, height, width, 3)."""
        return self._frames(self._raw(latents))

    def denormalised(self, latents: Tensor) -> Tensor:
        """Return the autoencoder's own latents for normalised ones, on its device."""
        return latents.float().to(self._device) * self._std.to(self._device) + self._mean.to(self._device)

    def normalised(self, raw: Tensor) -> Tensor:
        """Return normalised latents for the autoencoder's own."""
        return (raw.float() - self._mean.to(raw.device)) / self._std.to(raw.device)

    def _raw(self, latents: Tensor) -> Tensor:
        """Return the autoencoder's own latents, with the noise that a decoder takes away which denoises a little."""
        raw = self.denormalised(latents).to(self.vae.dtype)
        if not self.vae.config.get("timestep_conditioning"):
            return raw
        # Drawn for a clip as a whole, so that its windows agree, and always the same: so are the frames.
        noise = torch.randn(raw.shape, generator=torch.Generator("cpu").manual_seed(0)).to(raw.device, raw.dtype)
        scale = self._spec.decode_noise_scale or 0.0
        return (1 - scale) * raw + scale * noise

    def _windowed(self, raw: Tensor) -> Iterator[Pixels]:
        keep, context = self._windows.keep, self._windows.context
        for window in decode_windows(raw.shape[2], self._spec.frame_grid, keep, context):
            pixels = self._frames(raw[:, :, window.start : window.stop])
            yield pixels[window.skip : window.skip + window.take]

    @torch.no_grad()
    def _frames(self, raw: Tensor) -> Pixels:
        timestep = []
        if self.vae.config.get("timestep_conditioning"):
            timestep = [torch.tensor([self._spec.decode_timestep or 0.0], device=raw.device, dtype=raw.dtype)]
        video = self.vae.decode(raw, *timestep, return_dict=False)[0]
        pixels: Tensor = (video[0].float() * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8)
        return pixels.permute(1, 2, 3, 0).cpu().numpy()
