"""A codec whose decoder remembers all that it has seen, as Wan's does: it goes on frame by frame instead of in windows.

No window would do: on random weights a decoder that has not seen the tenth latent frame back still draws other
pictures (tests/test_wan_loops.py), where windows of LTX agree after two.
"""

from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import unpatchify
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import Tensor

from pipeline.events import Latents, Pixels
from pipeline.families.codec import Codec

# Latent frames back that the decoder remembers: what it drew 39 latent frames ago changes nothing any more, by the
# kernels of its layers, two frames back each (tests/test_wan_loops.py).
MEMORY = 38


class CausalCodec(Codec):
    """Encodes as every codec does, and decodes one latent frame after the other, in flat memory."""

    def decode(self, latents: Latents) -> Iterator[Pixels]:
        """Decode latent frame by latent frame into frames (n, height, width, 3), exactly those of the whole."""
        if self.vae.use_tiling:
            # Tiles bound the memory in their own way, and are blended over a clip as a whole.
            yield self.decode_whole(torch.from_numpy(latents))
            return
        raw = self._raw(torch.from_numpy(latents))
        for video in _in_turn(self.vae, raw):
            yield _pixels(video)

    def decode_loop(self, latents: Latents) -> Pixels:
        """Decode latents that have no beginning: the end comes before it, as far back as the decoder remembers."""
        around = latents.take(range(-MEMORY, latents.shape[2]), axis=2, mode="wrap")
        # Only the last pieces are kept: memory stays flat. A tiled decoding is one piece.
        pieces = deque(self.decode(around), maxlen=latents.shape[2])
        return np.concatenate(pieces)[-latents.shape[2] * self._spec.frame_grid :]

    def last_frame(self, latents: Latents) -> Pixels:
        """Decode the last frame (height, width, 3), for which all that come before it have to be."""
        *_, piece = self.decode(latents)
        last: Pixels = piece[-1]
        return last

    def _raw(self, latents: Tensor) -> Tensor:
        raw = latents.float().to(self._device) * self._std.to(self._device) + self._mean.to(self._device)
        return raw.to(self.vae.dtype)


@torch.no_grad()
def _in_turn(vae: Any, raw: Tensor) -> Iterator[Tensor]:
    """Yield the video (1, 3, n, height, width) of each latent frame, as the autoencoder's own `decode` would."""
    # The autoencoder keeps one memory of its own, which another decoding would disturb between two of these frames.
    memory = [None for _ in vae.decoder.modules()]
    prepared = _prepared(vae, raw)
    for index in range(raw.shape[2]):
        latent = prepared[:, :, index : index + 1]
        video = vae.decoder(latent, feat_cache=memory, feat_idx=[0], first_chunk=index == 0)
        yield unpatchify(video, vae.config.patch_size or 1).clamp(-1, 1)


@apply_forward_hook  # type: ignore[untyped-decorator]
def _prepared(vae: Any, raw: Tensor) -> Tensor:
    """Return what the decoder reads; where the autoencoder waits elsewhere, its hook brings it here."""
    prepared: Tensor = vae.post_quant_conv(raw)
    return prepared


def _pixels(video: Tensor) -> Pixels:
    pixels: Tensor = (video[0].float() * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8)
    return pixels.permute(1, 2, 3, 0).cpu().numpy()
