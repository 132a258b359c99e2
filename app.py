"""Starts Onetake: the page first, then the model, or on ZeroGPU the other way round. Spaces run this file too."""

# ruff: noqa: E402  — `spaces` must come before anything that may touch a device.
import spaces  # noqa: F401

from pipeline.settings import Settings, prepare_environment, serve_files_from

prepare_environment()

import logging
import signal
import sys
from functools import partial
from threading import Event, Thread

import gradio as gr
from fastapi import FastAPI

from pipeline.backends.choice import open_backend
from pipeline.errors import OnetakeError
from pipeline.fetches import Fetches
from pipeline.hub.downloads import is_here
from pipeline.hub.survey import download
from pipeline.jobs import Jobs
from pipeline.library.storage import Held
from pipeline.models import default_model, get_model
from pipeline.store import Store
from pipeline.ui.endpoints import refuse_unknown_fields
from pipeline.ui.house import House
from pipeline.ui.look import look
from pipeline.ui.media import serve_media
from pipeline.ui.page import build_page
from pipeline.ui.tools import Tools
from pipeline.ui.warmup import WarmUp

# A page that follows a take holds a thread while it waits for the next step.
WATCHERS = 200
# Of one file that is given: more than a minute of any camera's film, and less than fills a disk at once.
MOST_UPLOAD = "1gb"
# What is on their stages is remembered of so many pages, as nothing tells when one is closed.
SESSIONS = 1000


def main() -> int:
    """Serve until a signal comes; return the exit status."""
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = Settings.from_env()
        fetch_at_start(settings)
        house = open_house(settings)
        if settings.on_zerogpu:
            # What a fork is to find on its card has to be there when the page is launched.
            house.warm_up.run()
        demo, url = serve(house)
    except (OnetakeError, OSError) as error:
        print(f"Onetake did not start: {error}", file=sys.stderr)  # noqa: T201
        return 1
    print(f"Onetake is ready: {url}", flush=True)  # noqa: T201
    if not settings.on_zerogpu:
        house.warm_up.start()
    house.jobs.go_on()
    stop.wait()
    house.fetches.close()
    house.jobs.close()
    demo.close(verbose=False)
    return 0


def open_house(settings: Settings) -> House:
    """Open the store, the device's queue and the model's loader; nothing is loaded yet."""
    serve_files_from(settings.home / ".served")
    backend = open_backend(settings)
    store = Store(settings.home, settings.quota)
    machine = backend.machine()
    spec = default_model(machine, lambda spec: is_here(spec, settings), settings.model)
    # ZeroGPU has a queue of its own, and lends several visitors a card at once.
    jobs = Jobs(backend, store, settings.max_queue, at_once=settings.on_zerogpu)
    store.held_by(partial(held_by, jobs))
    # Beside the start: in a library that is new to it, the index is made first.
    Thread(target=store.purge, args=(0,), name="purge", daemon=True).start()
    return House(jobs, store, settings, WarmUp(backend.warm, spec), backend, Fetches(settings), machine)


def held_by(jobs: Jobs) -> Held:
    """Return what jobs need of the store that have not ended, or could be run again."""
    views = [*jobs.under_way(), *jobs.left_over()]
    files = {file for view in views for file in view.plan.files}
    return Held(frozenset(files), frozenset(parent.run for view in views for parent in view.origin.parents))


def fetch_at_start(settings: Settings) -> None:
    """Download the models that ONETAKE_MODELS names, whose licences its owner accepts by that; log what fails."""
    for spec in map(get_model, settings.fetched_at_start):
        try:
            download(spec, settings, lambda *_: None, lambda: False)
        except OnetakeError as error:
            logging.getLogger(__name__).warning("%s is left out: %s", spec.name, error)


def serve(house: House) -> tuple[gr.Blocks, str]:
    """Launch the page and return it with its address, once it answers."""
    demo = build_page(house)
    demo.queue(default_concurrency_limit=None)
    app: FastAPI
    tools = Tools(demo)
    app, url, _ = demo.launch(
        server_name=house.settings.host,
        server_port=house.settings.port,
        prevent_thread_lock=True,
        quiet=True,
        max_threads=WATCHERS,
        max_file_size=MOST_UPLOAD,
        state_session_capacity=SESSIONS,
        enable_monitoring=False,
        run_history=False,
        ssr_mode=False,
        mcp_server=False,
        app_kwargs={"exception_handlers": {TypeError: refuse_unknown_fields}, "lifespan": tools.lifespan},
        **look(house.settings.assets),
    )
    tools.serve(app, demo)
    # Browsers have six connections to an address. Every open page would hold one, so that the seventh got none.
    demo.config["connect_heartbeat"] = False
    serve_media(app, house.store, house.settings)
    return demo, url.rstrip("/")


if __name__ == "__main__":
    sys.exit(main())
