"""What a run was made from and what was made from it, as far as somebody may see."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pipeline.errors import NotFound
from pipeline.library.runs import Run
from pipeline.request import Request, StoryboardRequest, sources_of
from pipeline.visitors import Parent

# Of a long history, the generations and the runs of each that fit under a stage.
GENERATIONS = 3
ABREAST = 4

See = Callable[[str], Run | None]
Next = Callable[[Run], Sequence[Parent]]


# How what a task makes descends from the runs that it was given.
DESCENDS = {
    "animate": "animated from",
    "restyle": "restyled from",
    "transition": "blended from",
    "loop": "looped from",
    "extend": "extended from",
    "storyboard": "put together from",
}
# What one card of it was made again in.
REMADE = "remade from"


@dataclass(frozen=True)
class Kin:
    """A run in a tree: how the younger one of it and its neighbour came about, and what lies beyond."""

    run: Run
    how: str
    beyond: "Branches"


@dataclass(frozen=True)
class Branches:
    """Runs beside each other in a tree, and how many more there are."""

    kin: tuple[Kin, ...] = ()
    more: int = 0


def branches(run: Run, see: See, beyond: Next, generations: int = GENERATIONS) -> Branches:
    """Return what `beyond` leads to from a run, and on from there; what `see` returns None for is not there."""
    seen = [(other, each.how) for each in beyond(run) if (other := see(each.run))]
    if not generations:
        return Branches(more=len(seen))
    kin = (Kin(other, how, branches(other, see, beyond, generations - 1)) for other, how in seen[:ABREAST])
    return Branches(tuple(kin), max(len(seen) - ABREAST, 0))


def those_seen(kin: Iterable[Parent], see: Callable[[str], object]) -> tuple[Parent, ...]:
    """Return those whose runs can be seen; `see` raises NotFound for the others."""
    return tuple(each for each in kin if _is_seen(each.run, see))


def _is_seen(run_id: str, see: Callable[[str], object]) -> bool:
    try:
        see(run_id)
    except NotFound:
        return False
    return True


def parents_in(request: Request, run_of: Callable[[str], Run | None]) -> tuple[Parent, ...]:
    """Return the runs that a request was given, each once; `run_of` tells which run a file is."""
    before = request.video if isinstance(request, StoryboardRequest) else None
    runs = [
        (run, REMADE if path == before else DESCENDS[request.task])
        for path in sources_of(request)
        if (run := run_of(path))
    ]
    hows = {run.id: how for run, how in reversed(runs)}
    return tuple(Parent(run_id, hows[run_id]) for run_id in dict.fromkeys(run.id for run, _ in runs))
