"""The operations of a training step, counted from the tokens of its batch: two for each product that is summed up.

Only matrix products count, as is usual: neither norms, softmax and the like, nor the optimizer.
"""

from typing import Final

from pipeline.tabletop.latents import Sample
from pipeline.tabletop.layout import count_tokens
from pipeline.tabletop.network import CHANNELS, TEXT_LAYERS, TEXT_LENGTH

FREQUENCIES: Final = 256
"""Sines and cosines that a noise level is told by."""

FORMULA: Final = (
    "forward = layers (28 N d^2 + 4 N^2 d + 4 N L d + 4 L d^2) + 4 N c d + 4 L d^2 + T (512 d + 14 d^2) "
    "+ text layers (20 L d^2 + 4 L^2 d); training = 3 forward - 2 N c d - 512 T d, for each clip"
)
SYMBOLS: Final = (
    "N latent tokens, given ones included; d width; L = 48 tokens of text; c = 64 channels of a latent; T = N where "
    "noise levels differ from token to token, else 1; the gradients of a latent and of a noise level are not computed"
)


def forward_flops(width: int, layers: int, tokens: int, levels: int) -> int:
    """Operations for one clip: latent and text tokens through the transformer, and text through its encoder.

    In a layer: 12 N d² for the four projections of self-attention and two of that to the text, whose keys and values
    take 4 L d²; 16 N d² for the feed-forward net; 4 N² d and 4 N L d for scores and sums. Then latents in and out, the
    text's projection, the noise levels, and the encoder's layers (8 L d² projections, 12 L d² gated net).
    """
    n, d, text = tokens, width, TEXT_LENGTH
    layer = 28 * n * d**2 + 4 * n**2 * d + 4 * n * text * d + 4 * text * d**2
    edges = 4 * n * CHANNELS * d + 4 * text * d**2 + levels * (2 * FREQUENCIES * d + 14 * d**2)
    return layers * layer + edges + TEXT_LAYERS * (20 * text * d**2 + 4 * text**2 * d)


def training_flops(width: int, layers: int, sample: Sample) -> int:
    """Operations of a step on a batch: the backward pass has two products for each one of the forward pass.

    Less two that nobody asks for: the gradients of the latents and of the noise levels.
    """
    tokens = count_tokens(sample.latents, sample.given)
    levels = tokens if sample.given else 1
    unasked = 2 * tokens * CHANNELS * width + 2 * levels * FREQUENCIES * width
    return len(sample.latents) * (3 * forward_flops(width, layers, tokens, levels) - unasked)
