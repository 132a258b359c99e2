// A sheet of drafts: they are chosen here, and Python is asked to finish what was chosen.
() => {
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  const ask = (what, more) => {
    const event = new CustomEvent("ask", { detail: { what, ...more }, bubbles: true });
    document.querySelector("#sheet-asks .prose")?.dispatchEvent(event);
  };

  // What is chosen stays so while the sheet is shown anew with each step.
  const chosen = new Set();
  const set = (element, name, value) => {
    if (element.getAttribute(name) !== value) element.setAttribute(name, value);
  };
  const say = (element, words) => { if (element.textContent !== words) element.textContent = words; };
  const show = () => {
    const finish = document.querySelector("[data-finish-chosen]");
    if (!finish) return;
    const drafts = [...document.querySelectorAll("[data-choose]")];
    const left = new Set(drafts.map((draft) => draft.dataset.choose));
    for (const id of chosen) if (!left.has(id)) chosen.delete(id);
    for (const draft of drafts) set(draft, "aria-pressed", String(chosen.has(draft.dataset.choose)));
    const those = drafts.filter((draft) => chosen.has(draft.dataset.choose));
    const seconds = Math.max(Math.round(those.reduce((sum, draft) => sum + Number(draft.dataset.seconds), 0)), 1);
    if (finish.disabled !== !those.length) finish.disabled = !those.length;
    say(finish, those.length ? `Finish chosen (${those.length})` : "Finish chosen");
    const takes = seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
    const hint = document.querySelector("[data-hint]");
    say(hint, those.length ? `From where they stopped, about ${takes}` : "Choose those that are to be finished");
  };

  // A button that goes, because its draft is being made, leaves the focus to the next one in its place.
  let place = null;
  const lost = () => document.activeElement === document.body || !document.activeElement;
  document.addEventListener("focusin", (focus) => { place = focus.target.closest?.(".print")?.dataset.place ?? null; });
  document.addEventListener("pointerdown", (down) => { if (!down.target.closest?.(".print")) place = null; });
  const giveBack = () => {
    if (place === null || !lost()) return;
    document.querySelector(`.print[data-place="${place}"] button`)?.focus({ preventScroll: true });
  };

  document.addEventListener("click", (click) => {
    const button = click.target.closest?.("button");
    if (!button) return;
    const { choose, finish, finishChosen, again, sheet } = button.dataset;
    if (choose) {
      if (!chosen.delete(choose)) chosen.add(choose);
      show();
    } else if (finish) ask("finish_runs", { runs: [finish], alone: !("onSheet" in button.dataset) });
    else if (finishChosen !== undefined) ask("finish_runs", { runs: [...chosen], alone: false });
    else if (again) ask("run_again", { job: again });
    else if (sheet) ask("open_sheet", { sheet });
  });

  document.addEventListener("loadeddata", (event) => {
    if (calm.matches && event.target.matches("video.still")) event.target.pause();
  }, true);

  new MutationObserver((changes) => {
    if (!changes.some((change) => change.target.closest?.("#screen"))) return;
    show();
    giveBack();
  }).observe(document.body, { childList: true, subtree: true, attributeFilter: ["aria-pressed", "disabled", "data-choose"] });
}
