// What the page does without asking the server: theme, keys, and clips that play under the pointer.
() => {
  const THEME = "onetake-theme";
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  const setDark = (dark) => document.body.classList.toggle("dark", dark);

  const kept = localStorage.getItem(THEME);
  if (kept) setDark(kept === "dark");

  document.addEventListener("click", (click) => {
    if (!click.target.closest("#theme")) return;
    const dark = !document.body.classList.contains("dark");
    setDark(dark);
    localStorage.setItem(THEME, dark ? "dark" : "light");
  });

  document.addEventListener("keydown", (key) => {
    if (key.key === "Enter" && (key.ctrlKey || key.metaKey)) {
      key.preventDefault();
      [...document.querySelectorAll(".the-make")].find((button) => button.checkVisibility())?.click();
    } else if (key.key === "Escape" && !document.querySelector("dialog[open]")) {
      const stop = document.querySelector("#stop");
      if (stop?.checkVisibility()) stop.click();
    }
  }, true);

  // A second press right after the first one is the same press.
  let pressed = -Infinity;
  document.addEventListener("click", (click) => {
    if (!click.target.closest(".the-make, .the-drafts, .chip")) return;
    if (click.timeStamp - pressed < 600) click.stopImmediatePropagation();
    else pressed = click.timeStamp;
  }, true);

  // Whoever comes back to the page, from another tab, from sleep or from no network, sees at once how things stand.
  const look = () => { if (document.visibilityState === "visible") document.querySelector("#look")?.click(); };
  document.addEventListener("visibilitychange", look);
  window.addEventListener("online", look);

  // Where the connection was lost, the page comes up anew: the words that were being written are not lost with it.
  const WORDS = "onetake-words";
  const written = location.search ? {} : JSON.parse(sessionStorage.getItem(WORDS) ?? "{}");
  window.addEventListener("pagehide", () => {
    const fields = [...document.querySelectorAll(".the-prompt textarea")].filter((field) => field.value);
    sessionStorage.setItem(WORDS, JSON.stringify(Object.fromEntries(fields.map((f) => [f.closest("[id]").id, f.value]))));
  });
  const write = () => {
    for (const [id, words] of Object.entries(written)) {
      const field = document.getElementById(id)?.querySelector("textarea");
      // A field that just came into sight writes its first value a moment later.
      if (!field?.checkVisibility() || !document.querySelector(".the-contract .promise")) continue;
      delete written[id];
      if (field.value) continue;
      field.value = words;
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }
    if (Object.keys(written).length) setTimeout(write, 500);
  };
  write();

  const play = (card) => {
    if (calm.matches || !card?.dataset.clip || card.querySelector("video")) return;
    const video = document.createElement("video");
    Object.assign(video, { src: card.dataset.clip, muted: true, loop: true, autoplay: true, playsInline: true });
    video.setAttribute("aria-hidden", "true");
    card.querySelector("img").after(video);
  };
  const rest = (card) => card?.querySelector("video")?.remove();
  const shotOf = (event) => event.target.closest?.(".shot");
  const cardOf = (event) => shotOf(event)?.querySelector(".card");
  document.addEventListener("pointerover", (event) => play(cardOf(event)));
  document.addEventListener("focusin", (event) => play(cardOf(event)));
  document.addEventListener("focusout", (event) => rest(cardOf(event)));
  document.addEventListener("pointerout", (event) => {
    if (!shotOf(event)?.contains(event.relatedTarget)) rest(cardOf(event));
  });

  // Who asked for less motion starts the video by hand.
  document.addEventListener("loadeddata", (event) => {
    if (calm.matches && event.target.matches("video.take")) event.target.pause();
  }, true);
}
