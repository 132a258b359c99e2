"""Long takes: a segment that is too long to be made in one go becomes chunks, each of which goes on from the last."""

from collections.abc import Iterator
from dataclasses import replace

from pipeline.model_spec import ModelSpec
from pipeline.planning.segments import Layout, Made, Part, Pin, Segment


def in_chunks(layout: Layout, spec: ModelSpec) -> Layout:
    """Return a layout that is one segment, where that is too long, as chunks."""
    if layout.segment.frames <= spec.max_frames:
        return layout
    chunks, parts = chain(layout.segment, spec)
    notes = (*layout.notes, told(chunks))
    return replace(layout, segment=chunks[0], further=chunks[1:], timeline=parts, notes=notes)


def chain(segment: Segment, spec: ModelSpec, number: int = 0) -> tuple[tuple[Segment, ...], tuple[Part, ...]]:
    """Return the chunks of a segment, counted from a number on, and what a take has of each.

    Only the last one may be shorter. A segment that is made in one go is one chunk. Of one that follows another, the
    first chunk does. The others begin with latents of the chunk before, and come out in its colours: bringing them
    together had only sharpened the first frames of each.
    """
    if segment.frames <= spec.max_frames or spec.chunks is None:
        return (segment,), (Made(0, segment.frames, segment=number),)
    size, overlap = spec.chunks.frames, spec.chunks.overlap
    # The last one makes a frame at least.
    starts = range(0, segment.frames - overlap, size - overlap)
    chunks, parts = list[Segment](), list[Part]()
    for index, start in enumerate(starts):
        follows = overlap if index else segment.follows
        frames = min(size, segment.frames - start)
        own = replace(segment, frames=frames, pins=tuple(_pins(segment, start, follows, frames)), follows=follows)
        chunks.append(replace(own, remembers=not overlap) if index else own)
        parts.append(Made(follows, frames - follows, matched=bool(follows) and not index, segment=number + index))
    return tuple(chunks), tuple(parts)


def told(chunks: tuple[Segment, ...]) -> str:
    """Say how a long take is made."""
    before = f"the last {chunks[-1].follows} frames of the one" if chunks[-1].follows else "what it remembers of those"
    return f"Made in {len(chunks)} parts, each going on from {before} before."


def _pins(segment: Segment, start: int, follows: int, frames: int) -> Iterator[Pin]:
    """Yield what is given in the frames that a chunk makes, by its own count."""
    for pin in segment.pins:
        if start + follows <= pin.frame < start + frames:
            yield replace(pin, frame=pin.frame - start)
