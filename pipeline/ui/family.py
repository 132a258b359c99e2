"""The tree of a take under the stage: posters of what it was made from on the left, of what was made from it right."""

from html import escape

from pipeline.ui.clips import Clip, Relative, Relatives


def family_tree(clip: Clip) -> str:
    """Return the tree of the clip on the stage, nothing where it stands alone."""
    before = _branches(clip.before, "older", "What it was made from")
    after = _branches(clip.after, "younger", "What was made from it")
    if not before + after:
        return ""
    itself = f'<span class="kin itself"><img src="{clip.poster}" alt=""><small>this take</small></span>'
    return f'<section class="family" aria-label="Where this take comes from">{before}{itself}{after}</section>'


def _branches(found: Relatives | None, side: str, label: str = "") -> str:
    if found is None or not (found.each or found.more):
        return ""
    named = f' aria-label="{label}"' if label else ""
    items = "".join(f"<li>{_kin(each, side)}{_branches(each.beyond, side)}</li>" for each in found.each)
    rest = f'<li><span class="kin rest">{found.more} more</span></li>' if found.more else ""
    return f'<ul class="{side}"{named}>{items}{rest}</ul>'


def _kin(kin: Relative, side: str) -> str:
    # Towards the younger ones it is told from where the line comes.
    how = kin.how.replace(" from", " into") if side == "younger" else kin.how
    words, how = escape(kin.title, quote=True), escape(how)
    return (
        f'<button type="button" class="kin" data-open="{kin.run_id}" title="{words}" aria-label="{how}: {words}">'
        f'<img src="{kin.poster}" alt="" loading="lazy"><small>{how}</small></button>'
    )
