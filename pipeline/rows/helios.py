"""The row of Helios, which is made for length: whole chunks of 33 frames, each from what it remembers of all before.

Settings are those of its authors' examples for the distilled model (the README of their repository). Its transformer is
counted by the defaults of its class: 14.3 billion parameters, as published. The shapes other than the authors' own have
as many pixels, and sides that can be halved twice. The speed is what their 19.5 frames a second on an H100 come to.
"""

from pipeline.frames import Network
from pipeline.model_spec import APACHE, Chunks, ModelSpec, Parts, Windows

HELIOS: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="helios",
        title="Helios 14B",
        repo="BestWishYsh/Helios-Distilled",
        family="helios",
        pipeline="HeliosPyramidPipeline",
        licence="Apache-2.0",
        licence_url=APACHE,
        tasks=("text",),
        pins="none",
        edits=False,
        rolls=False,
        grid=64,
        frame_grid=4,
        windows=Windows(keep=9, context=0),
        side_stride=8,
        patch=2,
        fps=24,
        min_side=256,
        max_side=768,
        frames=132,
        max_frames=33,
        chunks=Chunks(33, 0),
        pyramid=3,
        memory=(2, 2, 16),
        shapes={"landscape": (640, 384), "square": (512, 512), "portrait": (384, 640), "ultrawide": (768, 320)},
        shape="landscape",
        min_steps=6,
        steps=6,
        max_steps=6,
        guidance_scale=1.0,
        max_guidance_scale=1.0,
        network=Network(layers=40, width=5120, ffn=13824, text_tokens=512),
        download_gb=40.5,
        memory_mb=40_500,
        parts=Parts(14.31, 5.68, 0.127, 4, 20.5, tile=256),
        memory_kb_per_token=140.0,
        gflops_per_second=687_000.0,
        decode_megapixels_per_second=20.0,
    ),
)
