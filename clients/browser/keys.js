// Holding to talk, with the pointer and with keys.

/** What `hold`, the button, and the keys of the page do; `held`: whether it is held now. */
export function bindKeys(hold, { press, release, mute, held }) {
  hold.onpointerdown = (event) => {
    if (event.button !== 0) return;
    hold.setPointerCapture(event.pointerId);
    press();
  };
  hold.onpointerup = hold.onpointercancel = release;
  hold.oncontextmenu = (event) => event.preventDefault();
  // a click without a pointer comes of assistive technology, which cannot hold
  hold.onclick = (event) => { if (event.detail === 0) (held() ? release : press)(); };
  addEventListener("blur", release);

  const busyWithKeys = () => document.activeElement?.closest("input, select, button:not(#hold)");
  addEventListener("keydown", (event) => {
    if (busyWithKeys() || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.code === "Space" || (event.code === "Enter" && document.activeElement === hold)) {
      event.preventDefault();
      if (!event.repeat) press();
    } else if (event.key.toLowerCase() === "m" && !event.repeat) {
      mute();
    }
  });
  addEventListener("keyup", (event) => {
    if (event.code !== "Space" && event.code !== "Enter") return;
    if (document.activeElement === hold) event.preventDefault();
    release();
  });
}
