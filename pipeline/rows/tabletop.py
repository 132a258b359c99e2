"""The row of the model inside."""

from pipeline.frames import Network
from pipeline.model_spec import EVERYTHING, Chunks, ModelSpec, Parts, Windows

TABLETOP: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="tabletop",
        title="Tabletop",
        repo="tabletop",
        revision="embedded",
        family="ltx",
        pipeline="LTXConditionPipeline",
        licence="Apache-2.0",
        tasks=EVERYTHING,
        knows="one or two balls, cubes, cylinders and cones in eight colours, before or behind walls, on five floors",
        dtype="float32",
        grid=32,
        frame_grid=4,
        windows=Windows(keep=2, context=2),
        side_stride=16,
        fps=8,
        min_side=64,
        max_side=256,
        frames=17,
        max_frames=97,
        chunks=Chunks(49, 17),
        shapes={"landscape": (160, 96), "square": (128, 128), "portrait": (96, 160), "ultrawide": (224, 96)},
        shape="square",
        steps=8,
        max_steps=100,
        guidance_scale=4.0,
        max_guidance_scale=10.0,
        blend=0.93,
        seam_guidance=1.0,
        late_guidance=1 / 3,
        network=Network(layers=8, width=256, ffn=1024, text_tokens=48),
        memory_mb=800,
        parts=Parts(0.0091, 0.0014, 0.0082, vae_bytes=4),
        memory_kb_per_token=15.0,
        gflops_per_second=60.0,
        decode_megapixels_per_second=1.0,
    ),
)
