"""What the command line's words about runs share: what they work with, a plan from their options, and its run."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pipeline.backends.choice import Device, open_backend
from pipeline.cli.terminal import say, show_progress, stop_on_interrupt
from pipeline.errors import RunFailed
from pipeline.events import Again, Decoding, Loading, Step, Told, Waiting, Watchable
from pipeline.hub.downloads import is_here, not_downloaded
from pipeline.hub.loras import fetch_lora, find_lora
from pipeline.library.runs import Run
from pipeline.model_spec import ModelSpec
from pipeline.models import default_model, get_model
from pipeline.plan import Plan, make_plan
from pipeline.planning.speed import Speed
from pipeline.request import Request, with_sources
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.visitors import OF_THE_MACHINE, Origin


@dataclass(frozen=True)
class Studio:
    """What a command works with: the settings, the runs, and a device, here or on a Space."""

    settings: Settings
    store: Store
    backend: Device

    def plan(self, request: Request) -> Plan:
        """Plan what is asked for the machine that it is going to run on; raise BadRequest."""
        machine = self.backend.machine()
        named = request.model
        spec = get_model(named) if named else default_model(machine, self.backend.has, self.settings.model)
        keep = partial(self.store.keep_source, model=spec.name)
        request = with_sources(request, keep, partial(_fetch_lora, settings=self.settings))
        return make_plan(request, spec, self.speed(spec), machine=machine)

    def speed(self, spec: ModelSpec) -> Speed:
        """Return what a model is measured to do where it runs."""
        return self.store.speed(spec, self.settings.space)

    def check_model(self, plan: Plan) -> None:
        """Refuse a model that is not on this machine, before any work is done; a Space says itself what it has not."""
        spec = get_model(plan.model)
        if not self.settings.space and not is_here(spec, self.settings):
            raise not_downloaded(spec)

    def drive(self, plan: Plan, origin: Origin = OF_THE_MACHINE) -> Run:
        """Run a plan, showing how far it is; Ctrl-C stops it."""
        from pipeline.generate import Finished, generate

        stop = stop_on_interrupt()
        for event in generate(plan, self.backend, self.store, stop.is_set, origin):
            match event:
                case Waiting():
                    _say_what(event)
                case Loading(model):
                    say(f"loading {model}")
                case Again(why):
                    show_progress("")
                    say(why)
                case Step():
                    show_progress(_step(event))
                case Watchable(part, parts, file):
                    show_progress("")
                    say(f"part {part} of {parts} can be watched: {file}")
                case Decoding(_, _, seconds_left):
                    show_progress(f"developing the frames · {seconds_left or 0:.0f} s left")
                case Finished(run):
                    show_progress("")
                    return run
        raise RunFailed("The run ended without a result. Try again.")


def open_studio(options: argparse.Namespace) -> Studio:
    """Open what a command works with, on the Space that it names, if any; raise NoDevice."""
    settings = Settings.from_env()
    if options.space:
        settings = settings.with_space(options.space)
    return Studio(settings, Store(settings.home), _open(settings))


def asked_by(options: argparse.Namespace) -> Mapping[str, Any]:
    """Return what the options ask, as the fields of a request, but for the seed."""
    width, height = options.size or (None, None)
    given = {name: getattr(options, name) for name in options.own if getattr(options, name) is not None}
    return given | {
        "task": options.task,
        "prompt": options.prompt or "",
        "shape": options.shape,
        "model": options.model,
        "width": width,
        "height": height,
        "seconds": options.seconds,
        "frames": options.frames,
        "steps": options.steps,
        "guidance_scale": options.guidance,
        "deliver": options.deliver,
        "memory": options.memory,
        "loras": options.lora,
    }


def _open(settings: Settings) -> Device:
    if not settings.space:
        return open_backend(settings)
    from pipeline.backends.space import SpaceBackend

    backend = SpaceBackend(settings)
    # A plan is made for the card that it is going to run on.
    backend.meet(_say_what)
    return backend


def _step(step: Step) -> str:
    left = f"step {step.index} of {step.total} · {step.seconds_left or 0:.0f} s left"
    if step.part_left is None:
        return left
    return f"part {step.part} of {step.parts}, {step.part_left:.0f} s left of it · {left} of all"


def _say_what(event: Told) -> None:
    if isinstance(event, Waiting):
        say(f"waiting for {event.what}")


def _fetch_lora(source: str, settings: Settings) -> str:
    if find_lora(source, settings) == source:
        say(f"fetching {source}")
    return fetch_lora(source, settings)
