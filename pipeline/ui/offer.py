"""What stands in place of the contract for a model that is not here, as HTML: its licence, its size, its download."""

from html import escape

from pipeline.fetches import Fetch
from pipeline.hub.survey import gigabytes
from pipeline.model_spec import ModelSpec
from pipeline.ui.screen import bar, time_left

# Clicks on the buttons below reach Python as events with the model's name.
OFFER_CLICKS = """
element.addEventListener('click', (click) => {
  const button = click.target.closest('[data-fetch], [data-stop]');
  if (!button) return;
  if (button.dataset.fetch) trigger('fetch_model', {model: button.dataset.fetch});
  else trigger('stop_fetching', {model: button.dataset.stop});
});
"""


def licence(spec: ModelSpec) -> str:
    """Return a hosted model's licence with its link, nothing for the embedded one."""
    if spec.embedded:
        return ""
    address = escape(spec.licence_url, quote=True)
    link = f'<a href="{address}" target="_blank" rel="noreferrer">{escape(spec.licence)}</a>'
    return f'<p class="licence">Licence: {link}</p>'


def offer(spec: ModelSpec, fetch: Fetch | None, accepted: bool) -> str:
    """Return a model's offer, or how its download stands; `accepted` is True where its licence was accepted before."""
    if fetch is not None and fetch.state == "running":
        inside = _progress(spec, fetch)
    elif fetch is not None and fetch.state == "asking":
        inside = "<p>Asking the Hub how large it is…</p>"
    else:
        inside = f"<p>{escape(_sizes(spec, fetch))}</p>{_button(spec, accepted)}"
    absent = f"<p><b>{escape(spec.title)}</b> is not on this machine yet.</p>"
    return f'<section class="offer" role="status">{absent}{licence(spec)}{inside}</section>'


def _sizes(spec: ModelSpec, fetch: Fetch | None) -> str:
    found = fetch.found if fetch else None
    if found is None:
        return f"It downloads about {spec.download_gb:g} GB, once."
    kept = f", of which {gigabytes(found.here)} are here already" if found.here else ""
    return f"It downloads {gigabytes(found.total)}{kept}, once. The disk has {gigabytes(found.free)} free."


def _button(spec: ModelSpec, accepted: bool) -> str:
    words = "Download" if accepted else "Accept the licence and download"
    return f'<button type="button" class="action" data-fetch="{escape(spec.name, quote=True)}">{words}</button>'


def _progress(spec: ModelSpec, fetch: Fetch) -> str:
    cancel = f'<button type="button" class="action" data-stop="{escape(spec.name, quote=True)}">Cancel</button>'
    if not fetch.total:
        return f"<p>The download begins…</p>{cancel}"
    left = "" if fetch.seconds_left is None else f" · {time_left(fetch.seconds_left)}"
    words = f"{gigabytes(fetch.done)} of {gigabytes(fetch.total)}{left}"
    return (
        f'{bar(words, fetch.done / fetch.total)}{cancel}<p class="promise">Meanwhile, other models can be chosen.</p>'
    )
