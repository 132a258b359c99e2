"""The line at the top: the name, the model, where it runs, and whether it is ready."""

from html import escape

from pipeline.model_spec import ModelSpec
from pipeline.models import get_model
from pipeline.ui.house import House
from pipeline.ui.warmup import WarmUp

LOGO = (
    '<svg class="logo" viewBox="0 0 32 32" aria-hidden="true"><path class="board" d="M3 13h26v14a2 2 0 0 '
    '1-2 2H5a2 2 0 0 1-2-2z"/><path class="stick" d="M3 12 2.2 7.4 27.8 2.9l.8 4.6z"/><path '
    'class="stripe" d="m6.6 6.6 4.2 4-4.4.8-4-4zm8-1.4 4.2 4-4.4.8-4.1-4zm8.1-1.4 4.1 4-4.4.8-4.1-4z"/>'
    '<circle class="dot" cx="16" cy="21" r="3.5"/></svg>'
)
HALF_MOON = (
    '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M8 0a8 8 0 1 0 0 16A8 8 0 0 0 8 0z'
    'm0 14.4V1.6a6.4 6.4 0 0 1 0 12.8z"/></svg>'
)
WORDS = {"loading": "loading", "ready": "ready", "failed": "not loaded"}


def header(house: House) -> str:
    """Return the header: the model in use, and those on their way; one that could not be loaded says why."""
    warm_up = house.warm_up
    return (
        f'<div class="brand">{LOGO}<h1>Onetake</h1></div>'
        f'<p class="standing" role="status"><b>{escape(_in_use(house).title)}</b>'
        f"<span>{escape(_where(house))}</span>"
        f'<span class="state is-{warm_up.state}">{WORDS[warm_up.state]}</span>{_on_their_way(house)}</p>'
        '<button id="theme" type="button" aria-label="Switch between light and dark">'
        f"{HALF_MOON}</button>"
        f"{_why(warm_up)}"
    )


def _in_use(house: House) -> ModelSpec:
    return get_model(house.backend.loaded) if house.backend.loaded else house.spec


def _on_their_way(house: House) -> str:
    running = [fetch for fetch in house.fetches.views() if fetch.state == "running"]
    shares = [(get_model(fetch.model).title, fetch.done / max(fetch.total, 1)) for fetch in running]
    return "".join(f'<span class="state is-loading">{escape(title)} {share:.0%}</span>' for title, share in shares)


def _where(house: House) -> str:
    if space := house.settings.space:
        # Once it has said so.
        return f"on {space.partition('://')[2] or space}" + (", ZeroGPU" if house.backend.on_zerogpu else "")
    if house.backend.on_zerogpu:
        return "ZeroGPU"
    return "this GPU" if house.settings.device == "cuda" else "this CPU"


def _why(warm_up: WarmUp) -> str:
    return f'<p class="refusal" role="alert">{escape(warm_up.message)}</p>' if warm_up.message else ""
