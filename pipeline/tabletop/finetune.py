"""Teach Tabletop from a folder of captioned clips: `python -m pipeline.tabletop.finetune FOLDER -o my.safetensors`.

Each clip or picture has a text file of the same name that says what it shows. What is learned is a LoRA, a small
addition to the transformer's attention, in the format that diffusers reads. Ctrl-C keeps what was learned by then.
"""

import argparse
import random
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import diffusers
import torch
import transformers
from diffusers import AutoencoderKLLTXVideo, LTXVideoTransformer3DModel
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import T5EncoderModel

from pipeline.errors import BadRequest, OnetakeError, refuse_stopped
from pipeline.tabletop.attention import PlainAttention
from pipeline.tabletop.clips import Clip, read_folder, refuse_unknown, unknown_words
from pipeline.tabletop.denoiser import Denoiser, draw_sigma, flow_loss, judge
from pipeline.tabletop.latent_library import SHARES
from pipeline.tabletop.latents import WORDLESS, Sample, draw_given, encode, tail_frames
from pipeline.tabletop.network import to_pixels
from pipeline.tabletop.tokens import load_tokenizer

MODEL: Final = Path("assets/tabletop")
TARGETS: Final = ["to_q", "to_k", "to_v", "to_out.0"]
RATE: Final = 1e-3
WARM_UP: Final = 20
"""Steps in which the rate rises; from there on it falls linearly."""
BATCH: Final = 4
HELD_OUT: Final = 10
"""One clip in so many is held out, to tell what was learned from what was learned by heart."""
SMOOTH: Final = 0.95


@dataclass(frozen=True)
class Options:
    """What the command line can change."""

    folder: Path
    out: Path
    steps: int
    rank: int
    trigger: str
    seed: int


@dataclass(frozen=True)
class EncodedClips:
    """Latents of clips of one shape, whole, of their last frame and of their tail, with their captions."""

    whole: Tensor
    last: Tensor
    tail: Tensor
    frames: int
    captions: tuple[str, ...]


def read_options(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line; raise BadRequest for a file that could not be written in the end."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.tabletop.finetune", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("folder", type=Path, help="clips and pictures, each with its caption in a .txt beside it")
    parser.add_argument("-o", "--out", type=Path, help="the LoRA to write; FOLDER.safetensors if left out")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rank", type=int, default=8, help="how much can be learned, 1..128")
    parser.add_argument(
        "--trigger", default="", help="words that call up what is learned, of those that Tabletop knows"
    )
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    given.out = given.out or Path(f"{given.folder.resolve().name}.safetensors")
    given.trigger = " ".join(given.trigger.split())
    _refuse_senseless(options := Options(**vars(given)))
    return options


def _refuse_senseless(options: Options) -> None:
    if options.steps < 1 or not 1 <= options.rank <= 128:
        raise BadRequest("steps", "Steps or rank make no sense. Give at least 1 step, and a rank from 1 to 128.")
    if options.out.suffix != ".safetensors":
        raise BadRequest("out", f"{options.out.name} should end in .safetensors. Rename it.")
    if not options.out.absolute().parent.is_dir():
        raise BadRequest("out", f"There is no folder {options.out.absolute().parent}. Make it first.")
    refuse_unknown(options.trigger)


def encode_clips(clips: Sequence[Clip], vae: AutoencoderKLLTXVideo) -> list[EncodedClips]:
    """Encode clips once, those of one shape together."""
    shapes: dict[torch.Size, list[Clip]] = {}
    for clip in clips:
        shapes.setdefault(clip.frames.shape, []).append(clip)
    return [_encode_alike(alike, vae) for alike in shapes.values()]


def _encode_alike(clips: list[Clip], vae: AutoencoderKLLTXVideo) -> EncodedClips:
    pixels = to_pixels(torch.stack([clip.frames for clip in clips]))
    frames = pixels.shape[2]
    last, tail = (encode(vae, pixels[:, :, -count:]) for count in (1, tail_frames(frames)))
    return EncodedClips(encode(vae, pixels), last, tail, frames, tuple(clip.caption for clip in clips))


def draw(groups: list[EncodedClips]) -> Sample:
    """Draw clips of one shape, with the kinds of task in the shares of the training; a picture is given nothing."""
    group = random.choices(groups, [len(each.captions) for each in groups])[0]
    rows = torch.randint(len(group.captions), (min(BATCH, len(group.captions)),))
    kind = random.choices(list(SHARES), list(SHARES.values()))[0] if group.whole.shape[2] > 2 else "text"
    captions = ["" if random.random() < WORDLESS else group.captions[row] for row in rows.tolist()]
    return Sample(group.whole[rows].float(), draw_given(group, rows, kind), captions)


def sample_of(groups: list[EncodedClips]) -> Sample:
    """Return up to sixteen clips of the commonest shape with their captions, for a loss that can be compared."""
    group = max(groups, key=lambda each: len(each.captions))
    return Sample(group.whole[:16].float(), [], list(group.captions[:16]))


def load_denoiser(folder: Path, rank: int, device: str) -> Denoiser:
    """Load the transformer with a new LoRA, all else frozen, and the text encoder."""
    given = {"dtype": torch.float32, "use_safetensors": True}
    transformer = LTXVideoTransformer3DModel.from_pretrained(folder / "transformer", **given).to(device)
    text_encoder = T5EncoderModel.from_pretrained(folder / "text_encoder", **given).to(device)
    transformer.requires_grad_(False)
    text_encoder.requires_grad_(False)
    # The scale alpha / rank is 1, which is what a reader assumes where a file says nothing of it.
    transformer.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=TARGETS))
    if device == "cpu":
        transformer.set_attn_processor(PlainAttention())
    return Denoiser(transformer, text_encoder, load_tokenizer(folder))


def train(model: Denoiser, groups: list[EncodedClips], steps: int, tell: Callable[[int, float], None]) -> int:
    """Train the LoRA, telling each step and its smoothed loss; return the steps done, fewer after Ctrl-C."""
    learned = [value for value in model.transformer.parameters() if value.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=RATE, weight_decay=0.01)
    smooth: float | None = None
    for step in range(steps):
        try:
            for group in optimizer.param_groups:
                group["lr"] = RATE * min((step + 1) / WARM_UP, 1 - step / steps)
            sample = draw(groups)
            loss = flow_loss(model, sample, draw_sigma(len(sample.latents)))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            smooth = loss.item() if smooth is None else SMOOTH * smooth + (1 - SMOOTH) * loss.item()
            tell(step + 1, smooth)
        except KeyboardInterrupt:
            return step
    return steps


def save_lora(path: Path, transformer: nn.Module, facts: dict[str, str]) -> None:
    """Write the LoRA with what it was made of, aside first, then renamed."""
    weights = get_peft_model_state_dict(transformer)
    partial = path.with_suffix(".part")
    save_file({f"transformer.{name}": value.cpu().contiguous() for name, value in weights.items()}, partial, facts)
    partial.replace(path)


def finetune(options: Options, model: Path = MODEL) -> dict[str, float]:
    """Read, train and write; return the seconds of the training and the losses before and after."""
    torch.manual_seed(options.seed)
    random.seed(options.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    clips = read_folder(options.folder, options.trigger)
    if unknown := unknown_words(clips):
        _say(f"Tabletop does not know, and reads over: {', '.join(unknown)}.")
    vae = AutoencoderKLLTXVideo.from_pretrained(model / "vae", dtype=torch.float32, use_safetensors=True).to(device)
    kept_out = clips[HELD_OUT - 1 :: HELD_OUT]
    trained = encode_clips([clip for number, clip in enumerate(clips, 1) if number % HELD_OUT], vae)
    judged = {"trained": sample_of(trained)}
    if kept_out:
        judged["held_out"] = sample_of(encode_clips(kept_out, vae))
    denoiser = load_denoiser(model, options.rank, device)
    before = {f"{name}_before": judge(denoiser, sample) for name, sample in judged.items()}
    started = time.monotonic()
    done = train(denoiser, trained, options.steps, _progress(options.steps))
    refuse_stopped(lambda: not done)
    seconds = time.monotonic() - started
    after = {f"{name}_after": judge(denoiser, sample) for name, sample in judged.items()}
    save_lora(options.out, denoiser.transformer, _facts(options, len(clips), done))
    return {"seconds": seconds, "steps": done, **before, **after}


def _facts(options: Options, clips: int, steps: int) -> dict[str, str]:
    made = datetime.now(UTC).date().isoformat()
    facts = {"base_model": "tabletop", "steps": str(steps), "clips": str(clips), "rank": str(options.rank)}
    return {"format": "pt", "date": made, **facts, **({"trigger": options.trigger} if options.trigger else {})}


def _progress(steps: int) -> Callable[[int, float], None]:
    started = time.monotonic()

    def tell(step: int, loss: float) -> None:
        left = (time.monotonic() - started) / step * (steps - step)
        if sys.stderr.isatty() or step % 50 == 0 or step == steps:
            start, end = ("\r\033[K", "") if sys.stderr.isatty() else ("", "\n")
            line = f"{start}step {step} of {steps} · loss {loss:.3f} · {left:.0f} s left"
            print(line, end=end, file=sys.stderr, flush=True)

    return tell


def _quieten() -> None:
    """Keep bars and hints of the libraries out of a user's terminal."""
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    # Torch's hint about the speed of a norm under autocast.
    warnings.filterwarnings("ignore", "Mismatch dtype")


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def main() -> int:
    """Run one finetuning and return the exit status."""
    _quieten()
    try:
        options = read_options()
        told = finetune(options)
    except OnetakeError as error:
        _say(f"onetake: {error}")
        return 2 if isinstance(error, BadRequest) else 1
    _say("\n" + ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in told.items()))
    _say(f'Use it: python -m pipeline text "…" --lora {options.out}')
    print(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
