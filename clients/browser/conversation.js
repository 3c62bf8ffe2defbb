// The conversation as it is shown, and as it is told to who does not see it.

const KEPT_TURNS = 100;
const NEAR_PX = 80; // who is this near the end wants to see what comes
const SCALE_MS = 1000; // a ledger's whole bar

export class Conversation {
  #view; #voice; #unsaid = ""; #atEnd = true;
  #size = ""; // of the view: another one moves what is seen before it is told
  #turn; // whose answer was given last
  #spoken; // the last one that was spoken
  #items = new Map(); // id of an item of the wire -> its bubble

  /** @param view where it is shown @param voice a live region, for screen readers */
  constructor(view, voice) {
    this.#view = view;
    this.#voice = voice;
    view.addEventListener("scroll", () => {
      if (this.#measured() !== this.#size) return; // nobody scrolled
      this.#atEnd = view.scrollHeight - view.scrollTop - view.clientHeight < NEAR_PX;
      // at the end nothing else is kept in its place when the window gets smaller
      view.style.overflowAnchor = this.#atEnd ? "none" : "auto";
    });
    new ResizeObserver(() => {
      this.#size = this.#measured();
      this.#follow(() => {});
    }).observe(view);
  }

  // --- the user

  /** Someone speaks, or a question was spoken: the item's bubble. */
  spoken(id) {
    const bubble = this.#item(id, "you", () => { this.#spoken = this.#newTurn(); return this.#spoken; });
    if (!bubble.textContent) bubble.classList.add("live");
    return bubble;
  }

  caption(id, delta) {
    this.#grow(this.spoken(id), delta);
  }

  captionDone(id, text) {
    const bubble = this.spoken(id);
    bubble.classList.remove("live");
    bubble.classList.toggle("wordless", !text);
    this.#follow(() => { bubble.textContent = text || "no words"; });
    if (text) this.say(`You: ${text}`);
  }

  /** It was no utterance after all, unless there are words already. */
  unspoken(id) {
    const bubble = this.#items.get(id);
    if (!bubble || bubble.textContent) return;
    this.#items.delete(id);
    const turn = bubble.parentElement;
    bubble.remove();
    if (!turn.children.length) turn.remove();
  }

  /** The turn of what was spoken last. */
  get said() { return this.#spoken; }

  /** @returns the question's turn */
  typed(text) {
    const turn = this.#newTurn();
    this.#follow(() => turn.append(labelled("you", "You", text)));
    return turn;
  }

  /** A typed question is not answered yet: why. */
  waits(turn, why) {
    let note = turn.querySelector(".waits");
    if (!note) {
      note = element("p", "waits");
      this.#follow(() => turn.append(note));
      this.say(why);
    }
    note.textContent = why;
  }

  /** A question waits no longer. */
  settled(turn) {
    turn?.querySelector(".waits")?.remove();
  }

  // --- answers

  /** The answer of a turn begins. */
  answer(id, turn) {
    this.#turn = turn;
    this.settled(turn);
    this.#answer(id).classList.add("live");
  }

  answerDelta(id, delta) {
    const bubble = this.#answer(id);
    this.#grow(bubble, bubble.textContent ? delta : delta.trimStart());
    this.#unsaid += delta;
    const sentences = /^[^]*[.!?](?=\s)/.exec(this.#unsaid);
    if (!sentences) return;
    this.say(sentences[0]);
    this.#unsaid = this.#unsaid.slice(sentences[0].length);
  }

  answerDone(id, interrupted) {
    const bubble = this.#items.get(id);
    bubble?.classList.remove("live");
    bubble?.classList.toggle("cut", interrupted);
    if (bubble && !bubble.textContent) bubble.textContent = interrupted ? "" : "(nothing to say)";
    this.say(this.#unsaid + (interrupted ? " Interrupted." : ""));
    this.#unsaid = "";
  }

  /** Where the milliseconds went: a bar, on the same scale for every answer. */
  ledger(event) {
    const work = [
      ["encode", "encoding", event.encode_ms + event.backlog_ms],
      ["prefill", "prefill", event.prefill_ms],
      ["token", "first word", event.first_token_ms],
    ].filter(([, , ms]) => ms >= 0.5);
    const spoken = event.endpoint_wait_ms > 0;
    const parts = [
      ...(spoken ? [["waited", "silence, to be sure you had finished", event.endpoint_wait_ms]] : []),
      ...(work.length ? work : [["token", "of work that was left", 0]]),
    ];
    const total = parts.reduce((sum, [, , ms]) => sum + ms, 0);
    const figure = element("figure", "ledger");
    const line = element("div", "line"), bar = element("div", "bar"), list = element("ul", "");
    for (const [name, told, ms] of parts) {
      const piece = element("span", name);
      piece.style.width = `${(100 * ms) / Math.max(total, SCALE_MS)}%`;
      if (ms > 0) bar.append(piece);
      list.append(element("li", name, `${ms.toFixed(0)} ms ${told}`));
    }
    bar.setAttribute("aria-hidden", "true");
    bar.title = `the whole bar is ${Math.max(total, SCALE_MS).toFixed(0)} ms`;
    line.append(bar, element("strong", "", `${total.toFixed(0)} ms`));
    const when = spoken ? "before you had finished" : "before you asked";
    const heard = `${event.prefilled_before_end} of ${event.windows} windows of sound were in the model ${when}`;
    const speed = event.tokens_per_s ? ` · ${event.tokens_per_s.toFixed(0)} tokens/s` : "";
    figure.append(line, list, element("p", "", heard + speed));
    const turn = this.#place();
    this.#follow(() => turn.append(figure));
  }

  // --- the rest

  sound(name) {
    this.say(`Sound: ${name}`);
    const last = this.#view.lastElementChild;
    if (last?.dataset.sound === name) {
      last.dataset.times = Number(last.dataset.times) + 1;
      last.textContent = `${name} × ${last.dataset.times}`;
      return;
    }
    const line = element("p", "heard", name);
    line.dataset.sound = name;
    line.dataset.times = 1;
    line.setAttribute("aria-label", `Sound: ${name}`);
    this.#put(line);
  }

  /** A timer or an alarm rings, or a sound came that was waited for (`watch`). */
  notice(kind, name) {
    const what = { timer: "Timer", alarm: "Alarm", watch: "Heard" }[kind] ?? kind;
    const text = name ? `${what}: ${name}` : what;
    this.say(text);
    this.#put(element("p", "heard notice", text));
  }

  /** The session is over: what was going on will not go on. */
  over() {
    for (const note of this.#view.querySelectorAll(".waits")) note.remove();
    for (const [id, bubble] of this.#items) {
      if (!bubble.classList.contains("live")) continue;
      bubble.classList.remove("live");
      if (bubble.classList.contains("you")) this.unspoken(id);
      else this.answerDone(id, true);
    }
  }

  note(text) {
    this.say(text);
    this.#put(element("p", "note", text));
  }

  /** Tell a screen reader. */
  say(text) {
    if (!text.trim()) return;
    this.#voice.append(element("p", "", text.trim()));
    while (this.#voice.children.length > 5) this.#voice.firstElementChild.remove();
  }

  // --- bubbles

  #answer(id) { return this.#item(id, "they", () => this.#place()); }

  #item(id, kind, place) {
    let bubble = this.#items.get(id);
    if (!bubble) {
      bubble = labelled(kind, kind === "you" ? "You" : "Answer");
      this.#items.set(id, bubble);
      const turn = place();
      this.#follow(() => turn.append(bubble));
    }
    return bubble;
  }

  #newTurn() {
    const turn = element("article", "turn");
    this.#put(turn);
    return turn;
  }

  #place() {
    if (!this.#turn?.isConnected) this.#turn = this.#newTurn();
    return this.#turn;
  }

  #put(child) {
    this.#view.querySelector(".empty")?.remove();
    this.#follow(() => this.#view.append(child));
    while (this.#view.children.length > KEPT_TURNS) {
      const oldest = this.#view.firstElementChild;
      oldest.remove();
      for (const [id, bubble] of this.#items) if (oldest.contains(bubble)) this.#items.delete(id);
    }
  }

  #grow(bubble, text) {
    this.#follow(() => bubble.append(text));
  }

  #measured() { return `${this.#view.clientWidth} ${this.#view.clientHeight}`; }

  /** Change something and keep the end in view, unless the user looks at something before it. */
  #follow(change) {
    const atEnd = this.#atEnd; // scrolling is told later
    change();
    if (atEnd) this.#view.scrollTop = this.#view.scrollHeight;
  }
}

function element(kind, name, text = "") {
  const made = document.createElement(kind);
  if (name) made.className = name;
  made.textContent = text;
  return made;
}

/** A bubble that says whose it is to who does not see its place. */
function labelled(kind, who, text = "") {
  const bubble = element("p", kind, text);
  bubble.setAttribute("role", "group");
  bubble.setAttribute("aria-label", who);
  return bubble;
}
