"""The stage's pictures as HTML: waiting, preview, clip, and what went wrong. Pure functions."""

import base64
import io
import time
from html import escape

import numpy as np
from PIL import Image

from pipeline.plan import Plan
from pipeline.queue.job import JobView
from pipeline.ui.clips import Clip

EMPTY = """
<figure class="screen is-empty"><div class="mat"><div class="slate">
  <div class="clap" aria-hidden="true"></div>
  <dl>
    <div><dt>Scene</dt><dd>yours: describe it, or click an example</dd></div>
    <div><dt>Take</dt><dd>1</dd></div>
    <div><dt>Seed</dt><dd>random</dd></div>
  </dl>
</div></div></figure>"""

PHASES = {
    "waiting": "Starting",
    "loading": "Loading the model",
    "decoding": "Developing the frames",
    "ended": "Ready",
}


def waiting(view: JobView) -> str:
    """Show the frame that the take is going to fill."""
    inside = f'<div class="take undeveloped" {_ratio(view.plan)}></div>'
    return _figure(inside, view.plan, "is-waiting")


def preview(view: JobView) -> str:
    """Show what the model has so far, as an animated picture that runs on from step to step."""
    if view.preview is None:
        return waiting(view)
    source = animated(view.preview, view.plan)
    inside = (
        f'<img class="take is-preview" decoding="sync" {_ratio(view.plan)} src="{source}" '
        f'alt="Preview after step {view.step} of {view.steps}">'
    )
    return _figure(inside, view.plan, "is-running")


def clip(shown: Clip) -> str:
    """Show a finished clip, looping and muted, or a single picture."""
    if shown.is_picture:
        inside = f'<img class="take" {_ratio(shown.plan)} src="{shown.url}" {_alt(shown)}>'
    else:
        inside = (
            f'<video class="take" {_ratio(shown.plan)} src="{shown.url}" {_poster(shown)} '
            f"aria-label={_quoted(shown.plan.title)} autoplay loop muted playsinline controls></video>"
        )
    return _figure(inside, shown.plan, "is-done")


def trouble(message: str) -> str:
    """Say on the stage what happened; the message itself ends in the next step."""
    return (
        '<figure class="screen is-trouble"><div class="mat" role="alert">'
        f"<h2>No video this time</h2><p>{escape(message)}</p></div></figure>"
    )


def progress(view: JobView) -> str:
    """Show the steps done and the time left, or what else is going on."""
    return bar(going_on(view), view.step / view.steps)


def animated(frames: np.ndarray, plan: Plan, clock: float | None = None) -> str:
    """Return frames (t, h, w, 3) of 8 bits as an animated WebP in a data address.

    Each step brings a new picture that a browser would start at its first frame, so the frames are
    turned to where the wall clock says the clip is: motion then runs on through the steps.
    """
    each_ms = max(round(1000 * plan.num_frames / plan.fps / len(frames)), 40)
    now = time.monotonic() if clock is None else clock
    phase = int(now * 1000 / each_ms) % len(frames)
    first, *rest = [Image.fromarray(frame) for frame in np.roll(frames, -phase, axis=0)]
    target = io.BytesIO()
    first.save(
        target, "WEBP", save_all=True, append_images=rest, duration=each_ms, loop=0,
        quality=80, method=0,
    )  # fmt: skip
    return "data:image/webp;base64," + base64.b64encode(target.getvalue()).decode("ascii")


def going_on(view: JobView) -> str:
    """Say in a few words what happens to a job, and how long it goes on as far as that is known."""
    if view.stopping:
        return "Stopping after this step"
    if view.place:
        begins = f" · begins in {spoken(view.begins - time.time())}" if view.begins else ""
        return f"{view.place} before yours{begins}"
    if view.phase == "waiting":
        return _waiting(view)
    if view.phase == "loading":
        return view.note or PHASES["loading"]
    left = f" · {time_left(view.seconds)}" if view.ends and view.seconds >= 1 else ""
    return (f"Step {view.step} of {view.steps}" if view.phase == "denoising" else PHASES[view.phase]) + left


def _waiting(view: JobView) -> str:
    if view.by_page:
        # Its quota is that of the visitor, who is known by the open page.
        return f"Waiting for {view.waits_for or 'a GPU'}. Keep this page open until it has one."
    return f"Waiting for {view.waits_for}" if view.waits_for else PHASES["waiting"]


def time_left(seconds: float) -> str:
    """Say how long something goes on."""
    return f"{spoken(seconds)} left"


def spoken(seconds: float) -> str:
    """Say a time as people do."""
    return f"{max(round(seconds), 1)} s" if seconds < 90 else f"{round(seconds / 60)} min"


def bar(words: str, share: float) -> str:
    """Return a bar of progress with its words."""
    percent = round(100 * share)
    return (
        f'<div class="progress" role="progressbar" aria-label="{escape(words)}" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{percent}"><div class="sticks" style="--done:{percent}%">'
        f"</div><span>{escape(words)}</span></div>"
    )


def _figure(inside: str, plan: Plan, state: str) -> str:
    words = escape(plan.title)
    return (
        f'<figure class="screen {state}"><div class="mat">{inside}</div>'
        f"<figcaption><q>{words}</q><span>{_slate(plan)}</span></figcaption></figure>"
    )


def _slate(plan: Plan) -> str:
    length = f"{plan.seconds:.1f} s" if plan.num_frames > 1 else "one picture"
    return f"{plan.width}×{plan.height} · {length} · seed {plan.seed}"


def _ratio(plan: Plan) -> str:
    return f'style="--w:{plan.width};--h:{plan.height}"'


def _alt(shown: Clip) -> str:
    return f"alt={_quoted(shown.plan.title)}"


def _poster(shown: Clip) -> str:
    return f'poster="{shown.poster}"' if shown.poster else ""


def _quoted(words: str) -> str:
    return f'"{escape(words, quote=True)}"'
