// Addresses of takes are copied, and files that were made here are dropped anywhere.
() => {
  const base = () => location.origin + location.pathname;

  // Without https there is no clipboard: then the address stands in a field, selected, to be copied by hand.
  const offer = (slot, address) => {
    const field = Object.assign(document.createElement("input"), { type: "text", readOnly: true, value: address });
    field.setAttribute("aria-label", "The link: copy it from here");
    slot.querySelector(".by-hand")?.remove();
    field.className = "by-hand";
    slot.append(field);
    field.focus();
    field.select();
  };
  const copy = async (button) => {
    const slot = button.parentElement;
    const said = slot.querySelector(".copied");
    // What is said twice is heard twice only where it was gone in between.
    said.textContent = "";
    if (!button.dataset.copy) {
      said.textContent = button.dataset.told;
      return;
    }
    const address = base() + button.dataset.copy;
    try {
      await navigator.clipboard.writeText(address);
      slot.querySelector(".by-hand")?.remove();
      said.textContent = button.dataset.told;
    } catch {
      offer(slot, address);
      said.textContent = "The browser did not copy it: take it from here. " + button.dataset.told.replace(/^Copied\. /, "");
    }
  };

  document.addEventListener("click", (click) => {
    const button = click.target.closest?.("[data-copy], .copies");
    if (button) copy(button);
    // What is made is the visitor's own: a reload finds it, and not what the address led to.
    if (!click.target.closest?.(".the-make, .chip")) return;
    const kept = [...new URLSearchParams(location.search)].filter(([name]) => name.startsWith("__"));
    history.replaceState(null, "", location.pathname + (kept.length ? `?${new URLSearchParams(kept)}` : ""));
  });

  // On a phone the stage lies below the fold, and a run's link leads to the stage.
  if (new URLSearchParams(location.search).has("run")) {
    const arriving = setInterval(() => {
      const shown = document.querySelector("#stage :is(.is-done, .is-trouble)");
      if (!shown) return;
      clearInterval(arriving);
      if (window.innerWidth <= 820) shown.scrollIntoView();
    }, 200);
  }

  // Files that are dragged: fields of the page take their own, all else goes to the button for files.
  const over = document.createElement("div");
  over.id = "drop-here";
  over.innerHTML = '<p role="status"></p>';
  document.querySelector(".gradio-container").append(over);
  const brings = (drag) => [...(drag.dataTransfer?.types ?? [])].includes("Files");
  const field = (drag) => drag.target.closest?.(".clip-file, .the-pictures .block, [aria-dropeffect]");
  const takes = (drag) => field(drag)?.matches("[aria-dropeffect], :has([aria-dropeffect])");
  let resting;
  const hide = () => {
    clearTimeout(resting);
    over.classList.remove("is-over");
  };
  const say = (words, milliseconds = 4000) => {
    hide();
    if (over.firstChild.textContent !== words) over.firstChild.textContent = words;
    over.classList.add("is-over");
    resting = setTimeout(hide, milliseconds);
  };
  document.addEventListener("dragover", (drag) => {
    if (!brings(drag) || takes(drag)) return hide();
    drag.preventDefault();
    if (field(drag)) return hide();
    // Nobody tells that a drag was given up: it just says nothing more.
    say("Drop a file that was made here: its recipe fills the page", 400);
  });
  document.addEventListener("drop", (drag) => {
    hide();
    if (!brings(drag) || takes(drag)) return;
    // A browser would leave the page for the file.
    drag.preventDefault();
    if (field(drag)) {
      say("This field holds a file already: take that out first");
      return;
    }
    if (drag.dataTransfer.files.length !== 1) {
      say("One file at a time: drop the one whose recipe you want");
      return;
    }
    const input = document.querySelector("#open-file")?.previousElementSibling;
    const one = new DataTransfer();
    one.items.add(drag.dataTransfer.files[0]);
    input.files = one.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  });
}
