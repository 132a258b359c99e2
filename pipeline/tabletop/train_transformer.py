"""Train the diffusion transformer and its text encoder together by rectified flow, small pictures first."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import torch
from diffusers import AutoencoderKLLTXVideo, LTXVideoTransformer3DModel
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast, T5EncoderModel

from pipeline.errors import BadRequest
from pipeline.tabletop.attention import PlainAttention
from pipeline.tabletop.checkpoint import GOING_ON, Rates, Training, log_curve, set_rates, start_training, step_all
from pipeline.tabletop.data import chunk_programs, chunks_on_disk
from pipeline.tabletop.emphasis import token_weights
from pipeline.tabletop.latents import LatentChunk, Sample, cache_folder, cached_chunk, draw_sample, encode_clips
from pipeline.tabletop.layout import Tokens, lay_out
from pipeline.tabletop.muon import make_optimizers
from pipeline.tabletop.network import TEXT_LENGTH, make_text_encoder, make_transformer, to_pixels
from pipeline.tabletop.render import render
from pipeline.tabletop.tokens import load_tokenizer, make_tokenizer, words_in_order

SHARES: Final = {"text": 0.54, "first": 0.12, "head": 0.14, "last": 0.04, "ends": 0.05, "tail": 0.05, "bridge": 0.06}
"""How often each kind of task is trained; everything but text gives some frames."""

TOKENS: Final = 4096
"""Latent tokens in a batch."""

HALF_SHARES: Final = ((0.25, 1.0), (0.7, 0.5), (1.0, 0.1))
"""Share of batches at half the side, up to a share of the time: composition is learned there at a fraction of the
cost (such batches have half the tokens, and still twice the clips), and carries over within a few hundred steps."""

EVERY: Final = 250
"""Steps between rows of the curve, and looks for new clips; a checkpoint comes with each."""

SAVED_EVERY: Final = 180.0
"""Seconds, at most, between checkpoints: on a busy machine a row can take a quarter of an hour."""

JUDGED_SIGMAS: Final = (0.3, 0.7, 0.9, 0.97, 0.99)

TEXT_PARTS: Final = ("attn2", "caption_projection")
"""Parts of the transformer that read the prompt."""

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


def make_denoiser(width: int, layers: int, device: str, world: str = "plain") -> Denoiser:
    """A new transformer, text encoder and tokenizer."""
    tokenizer = make_tokenizer(world)
    torch.manual_seed(1)
    transformer = make_transformer(width, layers).to(device)
    return Denoiser(transformer, make_text_encoder(len(tokenizer), width).to(device), tokenizer)


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
    wanted = (tokens.sigma > 0) * token_weights(sample.shown, tokens.sigma)
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


@dataclass(frozen=True)
class Shape:
    """Size of the transformer, whether its blocks are compiled (worth 15 % on a processor), and where to start from.

    `new_text` starts the text encoder, and what reads it, anew. `also` names what clips are taken beside the world's.
    """

    width: int
    layers: int
    compiled: bool = False
    start: Path | None = None
    new_text: bool = False
    world: str = "plain"
    also: tuple[str, ...] = ()

    @property
    def worlds(self) -> tuple[str, ...]:
        """The worlds whose clips it is trained on, each once."""
        return tuple(dict.fromkeys((self.world, *self.also)))


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
    model = make_denoiser(shape.width, shape.layers, device, shape.world)
    if device == "cpu":
        model.transformer.set_attn_processor(PlainAttention())
    if shape.start:
        take_weights(model, shape.start, shape.new_text)
    if shape.compiled:
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


def train_transformer(vae: AutoencoderKLLTXVideo, work: Path, minutes: float, shape: Shape) -> Denoiser:
    """Train for so many minutes in all, encoding and checkpoints included."""
    model = build_denoiser(shape, device=str(vae.device))
    training = begin_training(model, minutes, work / "transformer.pt")
    small, full = (LatentLibrary(vae, work, half, shape.worlds) for half in (True, False))
    held_out = held_out_sample(vae, world=shape.world)
    clock, smooth, share, saved = training.clock, 1.0, -1.0, training.clock.elapsed
    learned = bool(shape.start) and not shape.new_text
    rates = GOING_ON if learned else Rates()
    while clock.progress < 1:
        if half_share(clock.progress, learned) != share or clock.step % EVERY == 0:
            share = half_share(clock.progress, learned)
            for library in wanted(small, full, share):
                library.refresh()
        set_rates(training.optimizers, clock, rates)
        loss = take_step(model, training, (small if random.random() < share else full).draw())
        smooth = 0.98 * smooth + 0.02 * loss
        if clock.step % EVERY == 0 or clock.progress >= 1:
            row = {"step": clock.step, "minutes": round(clock.elapsed / 60, 2), "loss": smooth}
            judged = {"held_out": judge(model, held_out), "deaf": judge(model, with_other_captions(held_out))}
            log_curve(work / "transformer.jsonl", {**row, **judged})
        if clock.step % EVERY == 0 or clock.progress >= 1 or clock.elapsed - saved > SAVED_EVERY:
            training.save(work / "transformer.pt")
            saved = clock.elapsed
    for name, module in training.modules.items():
        module.load_state_dict(training.averages[name].values)
    return model
