"""What a process does that believes it is on ZeroGPU: `python tests/on_zerogpu.py serve`, `place` or `fork FOLDER`.

A torch that is built without CUDA lacks what `spaces` looks at while it is imported, so it is given that:
`torch.version.cuda`, `torch._C._cuda_init`, and a `torch.cuda._is_in_bad_fork` that can be pickled. Two functions are
replaced, because there is no card to wake in a fork or to move weights to: `spaces.zero.torch.init` and `move`. The
client of the scheduler, the worker, its fork and its queues are the real ones.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

torch.version.cuda = torch.version.cuda or "13.0"
vars(torch._C).setdefault("_cuda_init", None)
torch.cuda._is_in_bad_fork = bool

import spaces  # noqa: E402
import spaces.zero.torch  # noqa: E402

spaces.zero.torch.init = lambda *_: None
spaces.zero.torch.move = lambda *_, **__: None

import numpy as np  # noqa: E402
from conftest import SMALL  # noqa: E402

from pipeline.backends.take import Take  # noqa: E402
from pipeline.backends.zero import ZeroBackend  # noqa: E402
from pipeline.errors import OnetakeError  # noqa: E402
from pipeline.events import PartDone, Step, Told  # noqa: E402
from pipeline.halfway import Stopped, write_halfway  # noqa: E402
from pipeline.models import get_model  # noqa: E402
from pipeline.plan import Plan, make_plan  # noqa: E402
from pipeline.planning.estimate import Estimate  # noqa: E402
from pipeline.planning.segments import Segment  # noqa: E402
from pipeline.request import parse_request  # noqa: E402
from pipeline.settings import Settings  # noqa: E402
from pipeline.variations import finishing  # noqa: E402


def plan(**asked: Any) -> Plan:
    return make_plan(parse_request(SMALL | {"seed": 7} | asked), get_model("tabletop"))


def whole(backend: ZeroBackend, told: list[Told], stop_after: int = 1000, **asked: Any) -> tuple[Take, np.ndarray]:
    def stopped() -> bool:
        return sum(isinstance(event, Step) for event in told) >= stop_after

    take = backend.run(plan(**asked), told.append, stopped)
    return take, np.concatenate(list(take.frames))


@contextmanager
def refused(into: dict[str, Any], name: str) -> Iterator[None]:
    try:
        yield
    except OnetakeError as error:
        into[name] = [type(error).__name__, getattr(error, "field", ""), str(error)]


def fork(folder: Path) -> dict[str, Any]:
    """Run, stop, close and break runs in forks, and say what came of it; frames go into the folder."""
    backend, said = ZeroBackend(Settings.from_env()), dict[str, Any]()
    backend.warm("tabletop")
    told: list[Told] = []
    take, frames = whole(backend, told, frames=33)
    np.save(folder / "frames.npy", frames)
    np.save(folder / "latents.npy", take.latents)
    said["told"] = [type(event).__name__ for event in told]
    said["previews"] = [event.preview.shape for event in told if isinstance(event, Step) and event.preview is not None]
    told.clear()
    take, frames = whole(backend, told, stop_after=2, steps=100)
    said["stopped"] = [take.steps_done, take.steps, len(frames)]
    told.clear()
    np.save(folder / "long.npy", whole(backend, told, frames=101, steps=1)[1])
    said["parts"] = [[event.part, len(event.frames)] for event in told if isinstance(event, PartDone)]
    resumed, same = go_on(backend, folder)
    said["resumed"] = [resumed.steps_done, resumed.halfway is None, same]
    said["closed_s"], said["step_s"] = close_after_two_steps(backend)
    with refused(said, "refused"):
        long = replace(plan(), segments=(Segment("a", 9), Segment("b", 9)))
        backend.run(long, told.append, lambda: False)
    with refused(said, "over_quota"):
        backend.run(replace(plan(), estimate=Estimate(250.0, 800, 12)), told.append, lambda: False)
    said["again"] = len(whole(backend, [], steps=1)[1])
    return said


def go_on(backend: ZeroBackend, folder: Path) -> tuple[Take, bool]:
    """Finish in one fork what was a draft in another, and say whether it is what it would have been."""
    draft, _ = whole(backend, [], stop_after=1, steps=3)
    assert draft.halfway
    write_halfway(draft.halfway, path := folder / "halfway.safetensors")
    finished = backend.run(
        finishing(plan(steps=3), Stopped(str(path), "draft", draft.steps_done)), lambda _: None, lambda: False
    )
    return finished, np.array_equal(np.concatenate(list(finished.frames)), whole(backend, [], steps=3)[1])


def close_after_two_steps(backend: ZeroBackend) -> tuple[float, float]:
    """Close a long run while it is denoised; return how long that took, and how long a step does."""
    crossings = backend.ask(plan(width=192, height=192, steps=100), "/nowhere")
    times = []
    for crossing in crossings:
        times += [time.monotonic()] if isinstance(crossing, Step) else []
        if len(times) == 3:
            break
    before = time.monotonic()
    crossings.close()
    return time.monotonic() - before, (times[-1] - times[0]) / 2


def place() -> dict[str, Any]:
    """Load the model for a card that is not there yet, as before a launch, and say where it is taken to lie."""
    backend = ZeroBackend(replace(Settings.from_env(), device="cuda"))
    backend.warm("tabletop")
    family = backend._here._family
    assert family
    parts = (part for part in family.pipe.components.values() if isinstance(part, torch.nn.Module))
    own = {id(each): each.nbytes for part in parts for each in (*part.parameters(), *part.buffers())}
    devices = {each.device.type for each in family.pipe.transformer.parameters()}
    return {"devices": sorted(devices), "bytes": sum(own.values()), "packed": spaces.zero.torch.pack()}


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        import app

        sys.exit(app.main())
    print(json.dumps(fork(Path(sys.argv[2])) if sys.argv[1] == "fork" else place()))
