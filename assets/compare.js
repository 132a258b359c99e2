// Takes side by side, played in step: one clock for all; whoever ends earlier rests on its last frame.
() => {
  // Farther than this from the clock, a clip is set right.
  const DRIFT_S = 0.12;
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

  const open = (view) => {
    const videos = [...view.querySelectorAll("video")];
    const bar = view.querySelector(".transport");
    const length = Math.max(0, ...videos.map((video) => Number(video.dataset.seconds)));
    let playing = !calm.matches && videos.length > 0;
    let clock = 0;
    let before;

    const place = (video, exactly) => {
      const end = Number(video.dataset.seconds);
      const over = clock >= end - 0.001;
      video.closest("figure").classList.toggle("is-over", over && end < length);
      if (over || !playing) {
        video.pause();
        // The last frame, not behind it.
        const at = over ? Math.max(end - 0.02, 0) : clock;
        if (Math.abs(video.currentTime - at) > 0.01) video.currentTime = at;
        return;
      }
      if (exactly || Math.abs(video.currentTime - clock) > DRIFT_S) video.currentTime = clock;
      if (video.paused) video.play().catch(() => {});
    };
    const tell = () => {
      if (!bar) return;
      const [button, slider, output] = bar.children;
      slider.value = clock;
      slider.setAttribute("aria-valuetext", `${clock.toFixed(1)} of ${length.toFixed(1)} seconds`);
      output.textContent = `${clock.toFixed(1)} of ${length.toFixed(1)} s`;
      button.textContent = playing ? "❚❚" : "►";
      button.setAttribute("aria-label", playing ? "Pause" : "Play");
    };
    const tick = (now) => {
      if (!view.open) return;
      const ready = videos.every((video) => video.readyState >= 2 && !video.seeking);
      // Nobody goes on while one of them still loads.
      if (playing && before !== undefined && ready) {
        clock += (now - before) / 1000;
        const again = clock >= length;
        if (again) clock = 0;
        for (const video of videos) place(video, again);
        tell();
      }
      before = now;
      requestAnimationFrame(tick);
    };
    const set = (seconds) => {
      clock = Math.min(Math.max(seconds, 0), length);
      for (const video of videos) place(video, true);
      tell();
    };

    bar?.querySelector("[data-play]").addEventListener("click", () => { playing = !playing; set(clock); });
    bar?.querySelector("input").addEventListener("input", (input) => {
      playing = false;
      set(Number(input.target.value));
    });
    view.querySelector("[data-shut]").addEventListener("click", () => view.close());
    view.addEventListener("click", (click) => { if (click.target === view) view.close(); });
    view.addEventListener("close", () => { for (const video of videos) video.pause(); });
    view.dataset.opened = "";
    view.showModal();
    set(0);
    requestAnimationFrame(tick);
  };

  new MutationObserver(() => {
    const view = document.querySelector("dialog.compare:not([data-opened])");
    if (view) open(view);
  }).observe(document.body, { childList: true, subtree: true });
}
