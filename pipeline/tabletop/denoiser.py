"""The diffusion transformer with its text encoder: how it is built, what it starts from, and its loss."""

import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import torch
from diffusers import AutoencoderKLLTXVideo, LTXVideoTransformer3DModel
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

from pipeline.errors import BadRequest
from pipeline.tabletop.attention import PlainAttention
from pipeline.tabletop.checkpoint import GOING_ON, Rates, Training, start_training, step_all
from pipeline.tabletop.data import chunk_programs
from pipeline.tabletop.emphasis import token_weights
from pipeline.tabletop.latents import Sample, draw_sample, encode_clips
from pipeline.tabletop.layout import Tokens, lay_out
from pipeline.tabletop.muon import make_optimizers
from pipeline.tabletop.network import TEXT_LAYERS, TEXT_LENGTH, make_text_encoder, make_transformer, to_pixels
from pipeline.tabletop.render import render
from pipeline.tabletop.tokens import load_tokenizer, make_tokenizer, words_in_order

NEW_TEXT: Final = Rates(0.6, 0.6)
"""For trained weights with a new text encoder."""

JUDGED_SIGMAS: Final = (0.3, 0.7, 0.9, 0.97, 0.99)

RECOMPILED: Final = 64
"""How many versions of a block torch may compile. Types, shapes and whether to learn make more than torch's own limit
of 8, past which it leaves the rest uncompiled."""

TEXT_PARTS: Final = ("caption_projection",)
"""Parts of the transformer that take what a text encoder puts out."""

EMBEDDINGS: Final = ("shared.weight", "encoder.embed_tokens.weight")
"""The text encoder's rows, one a word."""


@dataclass(frozen=True)
class Denoiser:
    """The transformer with the text encoder and tokenizer that it is trained with."""

    transformer: LTXVideoTransformer3DModel
    text_encoder: T5EncoderModel
    tokenizer: PreTrainedTokenizerFast

    def predict(self, tokens: Tokens, captions: list[str]) -> Tensor:
        """Velocity (batch, tokens, channels), as the pipeline calls for it."""
        device = tokens.inputs.device
        text = self.tokenizer(
            captions, padding="max_length", max_length=TEXT_LENGTH, truncation=True, return_tensors="pt"
        ).to(device)
        mask = text.attention_mask.bool()
        same = bool((tokens.sigma == tokens.sigma[:, :1]).all())
        sigma = tokens.sigma[:, :1] if same else tokens.sigma
        output: Tensor
        with torch.autocast(device.type, torch.bfloat16):
            embeds = self.text_encoder(text.input_ids, attention_mask=mask)[0]
            output = self.transformer(
                hidden_states=tokens.inputs,
                encoder_hidden_states=embeds,
                timestep=sigma * 1000,
                encoder_attention_mask=mask,
                video_coords=tokens.coords,
                return_dict=False,
            )[0]
        return output.float()


@dataclass(frozen=True)
class Shape:
    """Size of the transformer, whether its blocks are compiled (worth 15 % on a processor), and where to start from.

    `new_text` starts the text encoder, and what reads it, anew; a new one learns to read for `text_minutes` first.
    `also` names what clips are taken beside the world's.
    """

    width: int
    layers: int
    compiled: bool = False
    start: Path | None = None
    new_text: bool = False
    world: str = "plain"
    also: tuple[str, ...] = ()
    text_minutes: float = 0.0

    @property
    def learned(self) -> bool:
        """Whether it goes on from weights as they are."""
        return bool(self.start) and not self.new_text

    @property
    def rates(self) -> Rates:
        """How its learning rates go."""
        return GOING_ON if self.learned else (NEW_TEXT if self.start else Rates())

    @property
    def worlds(self) -> tuple[str, ...]:
        """The worlds whose clips it is trained on, each once."""
        return tuple(dict.fromkeys((self.world, *self.also)))


def make_denoiser(shape: Shape, device: str) -> Denoiser:
    """A new transformer, text encoder and tokenizer; the text encoder has the layers of the one to go on from."""
    tokenizer = make_tokenizer(shape.world)
    torch.manual_seed(1)
    transformer = make_transformer(shape.width, shape.layers).to(device)
    start = None if shape.new_text else shape.start
    layers = T5Config.from_pretrained(start / "text_encoder").num_layers if start else TEXT_LAYERS
    return Denoiser(transformer, make_text_encoder(len(tokenizer), shape.width, layers).to(device), tokenizer)


def draw_sigma(count: int) -> Tensor:
    """Noise levels in 0..1: logit-normal, and one in five in 0.9..1.

    The pipeline takes half of its steps above 0.975, and what the prompt says is decided there: with few levels above
    0.9 in training, a held-out loss hardly depended on the prompt.
    """
    spread = torch.sigmoid(torch.randn(count) * 1.6 + 1.2)
    return torch.where(torch.rand(count) < 0.2, 0.9 + 0.1 * torch.rand(count), spread)


def flow_loss(model: Denoiser, sample: Sample, sigma: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean squared error of the velocity over the tokens that are not given; `weight` (batch,) is of clips.

    Where it is known which tokens show a solid, the mean is a weighted one, as `emphasis.py` says.
    """
    tokens = lay_out(sample.latents, sigma, sample.given)
    device = model.transformer.device
    tokens = Tokens(*(value.to(device) for value in (tokens.inputs, tokens.target, tokens.sigma, tokens.coords)))
    error = (model.predict(tokens, sample.captions) - tokens.target).square().mean(-1)
    error = error if weight is None else error * weight.to(device)[:, None]
    wanted = (tokens.sigma > 0) * token_weights(sample.shown, tokens.sigma, sample.follows)
    return (error * wanted).sum() / wanted.sum()


def held_out_sample(vae: AutoencoderKLLTXVideo, count: int = 32, world: str = "plain") -> Sample:
    """Held-out square clips with their captions, for the learning curve."""
    programs = chunk_programs(0, kept_out=True, count=count, world=world)
    pixels = to_pixels(torch.stack([render(program) for program in programs]))
    chunk = encode_clips(vae, programs, pixels)
    state = random.getstate()
    random.seed(5)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        sample = draw_sample([chunk], count * chunk.tokens, {"text": 1.0})
    random.setstate(state)
    return sample


def with_other_captions(sample: Sample) -> Sample:
    """Each clip with the next one's caption: how much the loss rises tells how much the model listens."""
    return replace(sample, captions=[*sample.captions[1:], sample.captions[0]])


@torch.no_grad()
def judge(model: Denoiser, sample: Sample) -> float:
    """Held-out loss, mean over fixed noise levels and fixed noise, every token weighing the same."""
    sample = replace(sample, shown=None)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        losses = [flow_loss(model, sample, torch.full((len(sample.latents),), sigma)) for sigma in JUDGED_SIGMAS]
    return float(torch.stack(losses).mean())


def take_weights(model: Denoiser, folder: Path, new_text: bool) -> None:
    """Start from a trained model of the same size, whose words come first among this one's."""
    for part, name in ((model.transformer, "transformer"), (model.text_encoder, "text_encoder")):
        trained = type(part).from_pretrained(folder / name, dtype=torch.float32, use_safetensors=True)
        kept = part.state_dict() if name == "text_encoder" else trained.state_dict()
        fresh = {key: value for key, value in part.state_dict().items() if any(word in key for word in TEXT_PARTS)}
        part.load_state_dict({**kept, **fresh} if new_text else with_new_words(trained, part))
    if not new_text:
        refuse_other_words(words_in_order(load_tokenizer(folder)), words_in_order(model.tokenizer))


def with_new_words(trained: nn.Module, part: nn.Module) -> dict[str, Tensor]:
    """The trained weights, with new rows for the words that only the new part knows."""
    own = part.state_dict()
    rows = {name: own[name][len(value) :] for name, value in trained.state_dict().items() if name in EMBEDDINGS}
    return {
        name: torch.cat([value, rows[name].to(value)]) if name in rows else value
        for name, value in trained.state_dict().items()
    }


def refuse_other_words(before: list[str], now: list[str]) -> None:
    """Raise BadRequest where a word would get another one's embedding."""
    if now[: len(before)] != before:
        lost = [word for word in before if word not in now]
        raise BadRequest(
            "start",
            f"The model to start from knows {len(before)} words in an order of its own"
            f"{', among them: ' + ', '.join(lost[:5]) if lost else ''}. Start from it with its own --world, or give "
            "--new-text, which learns all words anew.",
        )


def build_denoiser(shape: Shape, device: str) -> Denoiser:
    """The model to train, with the weights that it starts from."""
    model = make_denoiser(shape, device)
    if device == "cpu":
        model.transformer.set_attn_processor(PlainAttention())
    if shape.start:
        take_weights(model, shape.start, shape.new_text)
    if shape.compiled:
        torch._dynamo.config.recompile_limit = RECOMPILED
        model.transformer.compile_repeated_blocks(dynamic=True)
    return model


def begin_training(model: Denoiser, minutes: float, path: Path) -> Training:
    """Begin to train a model with its text encoder, or go on from the checkpoint at `path`."""
    modules = {"transformer": model.transformer, "text_encoder": model.text_encoder}
    return start_training(modules, make_optimizers(model.transformer, model.text_encoder), minutes, path)


def take_step(model: Denoiser, training: Training, sample: Sample) -> float:
    """Take one step on a batch, at noise levels drawn now; return its loss."""
    return learn_from(flow_loss(model, sample, draw_sigma(len(sample.latents))), training)


def learn_from(loss: Tensor, training: Training) -> float:
    """Take one step down a loss, and let the averaged weights follow; return the loss."""
    loss.backward()  # type: ignore[no-untyped-call]
    step_all(training.optimizers)
    for name, module in training.modules.items():
        training.averages[name].update(module, training.clock.step)
    training.clock.step += 1
    return loss.item()
