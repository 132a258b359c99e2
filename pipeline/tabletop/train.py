"""Train Tabletop from nothing: `python -m pipeline.tabletop.train`. Interrupt it at any time; the same command goes on.

Renders the clips, trains the autoencoder, then the transformer with its text encoder, and writes the diffusers folder
with a record of what it was trained on and for how long.
"""

import argparse
import json
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKLLTXVideo, LTXConditionPipeline
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import avg_pool3d

from pipeline.tabletop.checkpoint import cores
from pipeline.tabletop.data import CHUNK, WORLDS, chunks_on_disk, load_chunk, render_chunks
from pipeline.tabletop.denoiser import Denoiser, Shape
from pipeline.tabletop.latent_library import SHARES
from pipeline.tabletop.latents import encode, set_latent_statistics
from pipeline.tabletop.network import CHANNELS, TEMPORAL, count_parameters, make_scheduler, to_pixels
from pipeline.tabletop.train_autoencoder import train_autoencoder
from pipeline.tabletop.train_transformer import train_transformer

SHARD: str = "15MB"
PATCH: int = 4
"""Preview pixels per latent, along both sides."""


@dataclass(frozen=True)
class Options:
    """What the command line can change."""

    chunks: int
    plain_chunks: int
    hard_chunks: int
    autoencoder_minutes: float
    text_minutes: float
    transformer_minutes: float
    width: int
    layers: int
    compile: bool
    start: Path | None
    new_text: bool
    world: str
    device: str
    work: Path
    out: Path

    @property
    def shape(self) -> Shape:
        """What is trained, and on clips of which worlds."""
        sizes = (self.width, self.layers, self.compile, self.start, self.new_text, self.world)
        also = tuple(name for name, count in self.more.items() if count)
        return Shape(*sizes, also, self.text_minutes)

    @property
    def more(self) -> dict[str, int]:
        """Chunks of other draws beside the world's own."""
        return {"plain": self.plain_chunks, "hard": self.hard_chunks}


def read_options() -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.tabletop.train", description=__doc__)
    cuda = torch.cuda.is_available()
    parser.add_argument("--chunks", type=int, default=120, help=f"how many times {CHUNK} clips to render")
    parser.add_argument("--plain-chunks", type=int, default=0, help="as many of the plain world beside another one")
    parser.add_argument("--hard-chunks", type=int, default=0, help="as many of the whole world's hard scenes")
    parser.add_argument("--autoencoder-minutes", type=float, default=15)
    parser.add_argument("--text-minutes", type=float, default=10, help="in which a new text encoder learns to read")
    parser.add_argument("--transformer-minutes", type=float, default=100)
    parser.add_argument("--width", type=int, default=256, help="of the transformer, a multiple of 64")
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--compile", action="store_true", help="compile the blocks: faster, needs a C++ compiler")
    parser.add_argument("--start", type=Path, help="go on from a trained folder; its autoencoder is kept as it is")
    parser.add_argument("--new-text", action="store_true", help="with --start: the text encoder anew")
    parser.add_argument(
        "--world", choices=list(WORLDS), default="plain", help="what is drawn, and which words are known"
    )
    parser.add_argument("--device", default="cuda" if cuda else "cpu")
    parser.add_argument("--work", type=Path, default=Path(".cache/tabletop"), help="chunks, checkpoints, curves")
    parser.add_argument("--out", type=Path, default=Path("assets/tabletop"), help="the diffusers folder to write")
    return Options(**vars(parser.parse_args()))


def fit_preview(vae: AutoencoderKLLTXVideo, paths: list[Path]) -> dict[str, Tensor]:
    """Least squares from a normalised latent to a 4×4 patch of RGB in 0..1: the preview while a clip is being made."""
    latents, patches = [], []
    for path in paths:
        pixels = to_pixels(load_chunk(path).frames[:12])
        latents.append(encode(vae, pixels).float().movedim(1, -1).reshape(-1, CHANNELS))
        small = avg_pool3d(pixels[:, :, ::TEMPORAL] / 2 + 0.5, (1, PATCH, PATCH))
        cells = small.unfold(3, PATCH, PATCH).unfold(4, PATCH, PATCH)
        patches.append(cells.permute(0, 2, 3, 4, 5, 6, 1).reshape(-1, PATCH * PATCH * 3))
    x = torch.cat(latents)
    x = torch.cat([x, torch.ones(len(x), 1)], 1)
    solution = torch.linalg.lstsq(x, torch.cat(patches)).solution
    return {"weight": solution[:-1].contiguous(), "bias": solution[-1].contiguous()}


def save_model(vae: AutoencoderKLLTXVideo, denoiser: Denoiser, preview: dict[str, Tensor], out: Path) -> None:
    """Write the diffusers folder in bfloat16, no file above 15 MB."""
    parts = {"vae": vae, "transformer": denoiser.transformer, "text_encoder": denoiser.text_encoder}
    modules = {name: part.to("cpu", torch.bfloat16) for name, part in parts.items()}
    pipe = LTXConditionPipeline(scheduler=make_scheduler(), tokenizer=denoiser.tokenizer, **modules)
    pipe.save_pretrained(out, safe_serialization=True, max_shard_size=SHARD)
    save_file(preview, out / "preview.safetensors")


def read_curve(path: Path) -> list[dict[str, float]]:
    """A learning curve as rows."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_record(options: Options, vae: AutoencoderKLLTXVideo, denoiser: Denoiser) -> None:
    """Say what the weights were trained on, for how long, how the losses went, and what came before."""
    parts = {"autoencoder": not options.start, "text": not options.shape.learned, "transformer": True}
    names = [name for name, trained in parts.items() if trained]
    curves = {name: read_curve(options.work / f"{name}.jsonl") for name in names}
    before = options.start / "training.json" if options.start else None
    record = {
        "options": {name: str(value) for name, value in asdict(options).items()},
        "clips": CHUNK
        * sum(len(list(chunks_on_disk(options.work / "chunks", world))) for world in options.shape.worlds),
        "tasks": SHARES,
        "parameters": {
            "autoencoder": count_parameters(vae),
            "transformer": count_parameters(denoiser.transformer),
            "text_encoder": count_parameters(denoiser.text_encoder),
        },
        "machine": {
            "torch": torch.__version__,
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "threads": cores(),
        },
        "curves": curves,
        "before": json.loads(before.read_text()) if before and before.exists() else None,
    }
    (options.out / "training.json").write_text(json.dumps(record, indent=1) + "\n")


def get_autoencoder(options: Options, paths: list[Path]) -> AutoencoderKLLTXVideo:
    """The autoencoder to train on: the given model's, or a new one with its latents' statistics."""
    if options.start:
        source = options.start / "vae"
        vae = AutoencoderKLLTXVideo.from_pretrained(source, dtype=torch.float32, use_safetensors=True)
        return vae.to(options.device).requires_grad_(False)
    vae = train_autoencoder(options.work, options.autoencoder_minutes, options.device, options.world)
    set_latent_statistics(vae, paths)
    return vae.requires_grad_(False)


def main() -> None:
    """Run the whole training."""
    options = read_options()
    chunks = options.work / "chunks"
    for world, count in ((options.world, options.chunks), *options.more.items()):
        render_chunks(chunks, range(count), os.cpu_count() or 1, world)
    paths = list(chunks_on_disk(chunks, options.world))
    vae = get_autoencoder(options, paths)
    denoiser = train_transformer(vae, options.work, options.transformer_minutes, options.shape)
    save_model(vae, denoiser, fit_preview(vae, paths[:10]), options.out)
    write_record(options, vae, denoiser)


if __name__ == "__main__":
    main()
