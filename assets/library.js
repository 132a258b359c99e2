// The library: cards ask Python for what is done, several are selected, what was deleted can be brought back.
() => {
  const UNDO_MS = 15000;
  const MOST_COMPARED = 4;
  const ask = (what, more) => {
    const event = new CustomEvent("ask", { detail: { what, ...more }, bubbles: true });
    document.querySelector("#grid .prose")?.dispatchEvent(event);
  };

  // What is selected stays so while cards are listed anew: id -> {key, mine}.
  const selected = new Map();
  const show = () => {
    const bar = document.querySelector("#grid .selection");
    if (!bar) return;
    for (const box of document.querySelectorAll("#grid [data-pick]")) box.checked = selected.has(box.dataset.pick);
    bar.hidden = selected.size === 0;
    const words = selected.size ? `${selected.size} selected` : "";
    if (bar.firstChild.textContent !== words) bar.firstChild.textContent = words;
    const mine = [...selected.values()].every((take) => take.mine);
    bar.querySelector("[data-do=compare]").disabled = selected.size < 2 || selected.size > MOST_COMPARED;
    bar.querySelector("[data-do=compare]").title = `Two to four takes, side by side`;
    bar.querySelector("[data-do=delete]").disabled = !mine;
    bar.querySelector("[data-do=delete]").title = mine ? "" : "Only your own takes can be deleted";
  };
  const clear = () => { selected.clear(); show(); };

  // A form, because a zip of many takes has more to ask for than an address holds.
  const download = () => {
    const form = Object.assign(document.createElement("form"), { method: "post", action: "takes.zip", hidden: true });
    for (const [id, take] of selected) {
      form.append(Object.assign(document.createElement("input"), { name: "take", value: `${id}.${take.key}` }));
    }
    document.body.append(form);
    form.submit();
    form.remove();
  };

  const selection = {
    download,
    compare: () => ask("compare_runs", { runs: [...selected.keys()] }),
    delete: () => { ask("delete_runs", { runs: [...selected.keys()] }); clear(); },
    clear,
  };

  document.addEventListener("change", (change) => {
    const box = change.target.closest?.("[data-pick]");
    if (!box) return;
    if (box.checked) selected.set(box.dataset.pick, { key: box.dataset.key, mine: box.dataset.mine === "true" });
    else selected.delete(box.dataset.pick);
    show();
  });

  document.addEventListener("click", (click) => {
    const button = click.target.closest?.("button");
    if (!button) return;
    const { open, star, publish, delete: gone, restore, do: what } = button.dataset;
    const on = button.getAttribute("aria-pressed") !== "true";
    if (open) ask("open_run", { run: open });
    else if (star) ask("star_run", { run: star, on });
    else if (publish) ask("publish_run", { run: publish, on });
    else if (gone) { selected.delete(gone); ask("delete_runs", { runs: [gone] }); }
    else if (restore) ask("restore_runs", { runs: restore.split(" ") });
    else if (what) selection[what]();
  });

  // Listing anew takes the focus from a card: it is given back to the same one.
  let focused = "";
  document.addEventListener("focusin", (focus) => {
    const { open, star, pick } = focus.target.dataset ?? {};
    const inside = focus.target.closest?.("#grid") && (open || star || pick);
    focused = inside ? (open && `[data-open="${open}"]`) || (star && `[data-star="${star}"]`) || `[data-pick="${pick}"]` : "";
  });
  const lost = () => document.activeElement === document.body || !document.activeElement;

  let waiting;
  const offerUndo = (bar) => {
    bar.dataset.offered = "";
    const button = bar.querySelector("[data-restore]");
    if (button && lost()) button.focus();
    const go = () => {
      if (bar.matches(":hover") || bar.querySelector(":focus-visible")) waiting = setTimeout(go, 1000);
      else bar.hidden = true;
    };
    clearTimeout(waiting);
    waiting = setTimeout(go, UNDO_MS);
  };

  new MutationObserver((changes) => {
    const touched = (selector) => changes.some((change) => change.target.closest?.(selector));
    if (touched("#grid")) {
      show();
      if (focused && lost()) document.querySelector(`#grid ${focused}`)?.focus({ preventScroll: true });
    }
    const bar = document.querySelector("#library-told .undo:not([data-offered])");
    if (bar) offerUndo(bar);
  }).observe(document.body, { childList: true, subtree: true });
}
