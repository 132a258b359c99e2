"""Attention written out, for training on a processor: torch's fused kernel takes twice as long there, both ways."""

from diffusers.models.transformers.transformer_ltx import LTXAttention, apply_rotary_emb
from torch import Tensor


class PlainAttention:
    """What diffusers' `LTXVideoAttnProcessor` computes, as two products and a softmax that a compiler can merge."""

    def __call__(
        self,
        attn: LTXAttention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        image_rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Attend; `attention_mask` (batch, 1, keys) is added to the scores."""
        source = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key = attn.norm_q(attn.to_q(hidden_states)), attn.norm_k(attn.to_k(source))
        if image_rotary_emb is not None:
            query, key = apply_rotary_emb(query, image_rotary_emb), apply_rotary_emb(key, image_rotary_emb)
        query, key, value = (
            part.unflatten(2, (attn.heads, -1)).transpose(1, 2) for part in (query, key, attn.to_v(source))
        )
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
        if attention_mask is not None:
            scores = scores + attention_mask[:, None]
        mixed: Tensor = (scores.softmax(-1).to(value.dtype) @ value).transpose(1, 2).flatten(2)
        return attn.to_out[1](attn.to_out[0](mixed))  # type: ignore[no-any-return]
