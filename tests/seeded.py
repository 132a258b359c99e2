"""Finished runs without a model: real small clips with everything that a run's folder holds."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.latents import write_latents
from pipeline.library.runs import Run
from pipeline.models import EMBEDDED
from pipeline.plan import Plan, make_plan
from pipeline.request import parse_request
from pipeline.store import Store
from pipeline.video import write_clip, write_poster, write_still
from pipeline.visitors import Origin, Parent

TIMINGS = {"load": 0.0, "text": 0.1, "denoise": 2.0, "decode": 0.3, "encode": 0.1, "total": 2.5}
SMALL: dict[str, Any] = {"width": 64, "height": 64, "frames": 9, "steps": 4, "seed": 7}


def plan_of(prompt: str = "a red ball bounces on snow", **asked: Any) -> Plan:
    """Return a small plan."""
    return make_plan(parse_request(SMALL | {"prompt": prompt} | asked), EMBEDDED)


def keep_run(
    store: Store, plan: Plan, owner: str = "", parents: tuple[Parent, ...] = (), state: str = "done", grey: int = 90
) -> Run:
    """Write a run whose frames become lighter from one to the next, beginning with a grey."""
    frames = np.empty((plan.num_frames, plan.height, plan.width, 3), np.uint8)
    frames[:] = grey + np.arange(plan.num_frames, dtype=np.uint8)[:, None, None, None]
    with store.create(plan, Origin(owner, parents)) as draft:
        write_clip([frames], draft.clip, plan.fps, {"app": "Onetake", "plan": plan.to_recipe()}, None, False)
        write_poster(frames[plan.num_frames // 2], draft.poster)
        write_still(frames[-1], draft.last)
        latents = np.zeros((1, 64, 2, 2, 2), np.float32)
        write_latents(latents, draft.latents, (plan.width, plan.height), plan.num_frames, plan.fps)
        return store.commit(draft, state=state, notes=plan.notes, timings=TIMINGS, peak_memory_mb=800.5)


def many_folders(home: Path, count: int, owner: str) -> None:
    """Write the folders of many runs quickly: what a listing reads of them, every second one of an owner."""
    files, costs = {"file": "clip.mp4", "poster": "poster.webp"}, {"timings": TIMINGS, "peak_memory_mb": 800.5}
    told = {"id": "ID", "created": "TIME", "owner": "OWNER", "sha256": "SHA", "state": "done", "notes": []}
    record = told | {"plan": plan_of("a PROMPT").to_json()} | files | costs
    text = json.dumps(record)
    home.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        run_id, prompt = f"{number:020x}", f"{('red', 'green', 'blue')[number % 3]} ball {number}"
        time = f"2026-01-{1 + number // 3600:02}T{number // 150 % 24:02}:{number // 60 % 60:02}:{number % 60:02}+00:00"
        values = {"ID": run_id, "TIME": time, "PROMPT": prompt, "OWNER": owner if number % 2 else "", "SHA": run_id * 3}
        filled = text
        for name, value in values.items():
            filled = filled.replace(name, value) if name == "PROMPT" else filled.replace(f'"{name}"', f'"{value}"')
        (home / run_id).mkdir()
        (home / run_id / "run.json").write_text(filled)


def grow_old(path: Path, seconds: float) -> None:
    """Make a file or folder, with all that lies in it, look as old as that."""
    for each in (path, *path.rglob("*")):
        found = each.stat()
        os.utime(each, (found.st_atime - seconds, found.st_mtime - seconds))
