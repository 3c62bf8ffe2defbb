// The last 30 seconds as a picture: level, utterances, sounds, and what is in the model already.
// Its clock is the audio that was captured; a session's clock begins where the session began.

const SECONDS = 30;
const PER_SECOND = 25; // pieces of 40 ms
const BYTES_PER_SECOND = 32000;
const RATES = 31; // last ones of which the middle counts
const AXIS = 18, BAND = 5, SOUNDS = 40; // heights of the lanes, in pixels
const BAR = 3, GAP = 1.5;
const COLOURS = ["ink", "soft", "line", "speech", "sound", "prefilled", "bad", "card"];

export class Strip {
  #canvas; #levels = []; #count = 0; #begin = 0;
  #spans = []; #sounds = []; #prefilled = []; #offline = [];
  #tokens = 0; #rates = []; #stale = true; #colours = {};
  #calm = matchMedia("(prefers-reduced-motion: reduce)");

  constructor(canvas) {
    this.#canvas = canvas;
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const recolour = () => {
      const style = getComputedStyle(document.documentElement);
      for (const name of COLOURS) this.#colours[name] = style.getPropertyValue(`--${name}`);
      this.#stale = true;
    };
    dark.addEventListener("change", recolour);
    recolour();
    new ResizeObserver(() => { this.#stale = true; }).observe(canvas);
    let drawn = 0;
    const frame = (time) => {
      requestAnimationFrame(frame);
      if (!this.#stale || (this.#calm.matches && time - drawn < 500)) return;
      this.#stale = false;
      drawn = time;
      this.#draw();
    };
    requestAnimationFrame(frame);
  }

  get #now() { return this.#count / PER_SECOND; }

  /** A session begins: its first sample is the next one. */
  begin() {
    this.#end();
    this.#begin = this.#now;
    this.#tokens = 0;
    this.#rates = [];
  }

  /** So many bytes of audio will never reach the session. */
  skip(bytes) { this.#begin += bytes / BYTES_PER_SECOND; }

  level(piece) {
    const samples = new Int16Array(piece);
    let peak = 0;
    for (const sample of samples) peak = Math.max(peak, Math.abs(sample));
    this.#levels.push(peak / 32768);
    this.#count++;
    if (this.#levels.length > SECONDS * PER_SECOND) this.#levels.shift();
    this.#stale = true;
    return peak / 32768;
  }

  speechStarted(ms = null) {
    this.#spans.push({ from: ms === null ? this.#now : this.#begin + ms / 1000, to: null });
    this.#told();
  }

  speechStopped(ms = null) {
    this.#end(ms === null ? this.#now : this.#begin + ms / 1000);
    this.#told();
  }

  /** @param tokens of the turn, in the model now */
  prefilled(ms, tokens) {
    const to = this.#begin + ms / 1000;
    const before = this.#tokens && tokens > this.#tokens ? this.#prefilled.at(-1) : undefined;
    if (before) {
      this.#rates.push((to - before.to) / (tokens - this.#tokens));
      if (this.#rates.length > RATES) this.#rates.shift();
    }
    this.#prefilled.push({ from: before?.to, to, tokens, begin: this.#begin });
    this.#tokens = tokens;
    this.#stale = true;
  }

  /** Where a stretch begins. How far back a turn's first one reaches depends on the seconds in a token,
   *  which the model decides: the middle of those between other prefills. Before there are any, it
   *  reaches back to where someone began to speak. */
  #reach({ from, to, tokens, begin }) {
    if (from !== undefined) return from;
    const rates = [...this.#rates].sort((a, b) => a - b);
    const spoken = this.#spans.findLast((span) => span.from < to)?.from ?? to;
    return Math.max(begin, rates.length ? to - tokens * rates[rates.length >> 1] : spoken);
  }

  /** The turn was answered: the next one's tokens are counted anew. */
  answered() { this.#tokens = 0; }

  sound(from, to, name) {
    this.#sounds.push({ from: this.#begin + from / 1000, to: this.#begin + to / 1000, name });
    this.#told();
  }

  offline(is) {
    const last = this.#offline.at(-1);
    if (is && last?.to !== null) this.#offline.push({ from: this.#now, to: null });
    if (!is && last?.to === null) last.to = this.#now;
    this.#stale = true;
  }

  #end(at = this.#now) {
    const span = this.#spans.findLast(({ to }) => to === null);
    if (span) span.to = at;
  }

  /** The picture in words, for who does not see it. */
  #told() {
    this.#stale = true;
    const names = [...new Set(this.#sounds.map(({ name }) => name))];
    const spoken = `${this.#spans.length} stretch${this.#spans.length === 1 ? "" : "es"} of speech`;
    this.#canvas.setAttribute("aria-label", [spoken, ...names].join(", "));
  }

  #draw() {
    const canvas = this.#canvas, ratio = devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const pen = canvas.getContext("2d"), colours = this.#colours;
    pen.scale(ratio, ratio);
    const now = this.#now, begin = now - SECONDS;
    const x = (seconds) => ((seconds - begin) / SECONDS) * width;
    const fresh = (list) => list.filter(({ to }) => (to ?? now) > begin);
    this.#spans = fresh(this.#spans);
    this.#sounds = fresh(this.#sounds);
    this.#prefilled = fresh(this.#prefilled);
    this.#offline = fresh(this.#offline);
    const floor = height - AXIS; // of everything but the axis
    const low = floor - BAND - 3; // of the level
    const box = ({ from, to }, y, tall) => pen.fillRect(x(from), y, Math.max(1, x(to ?? now) - x(from)), tall);

    pen.globalAlpha = 0.14;
    pen.fillStyle = colours.speech;
    for (const span of this.#spans) box(span, 0, floor);
    pen.fillStyle = colours.bad;
    for (const span of this.#offline) box(span, 0, floor);
    pen.globalAlpha = 1;
    pen.fillStyle = colours.line;
    pen.fillRect(0, floor, width, 1);

    this.#drawLevel(pen, now, width, Math.min(SOUNDS, 0.3 * low), low);

    pen.fillStyle = colours.prefilled;
    for (const span of this.#prefilled) {
      const from = x(this.#reach(span));
      pen.fillRect(from, floor - BAND - 1, Math.max(1, x(span.to) - from - 1), BAND);
    }
    this.#drawSounds(pen, x, width);

    pen.fillStyle = colours.soft;
    pen.font = "11px system-ui, sans-serif";
    for (const ago of [25, 20, 15, 10, 5]) {
      pen.textAlign = "center";
      pen.fillText(`${ago} s`, x(now - ago), height - 5);
    }
    pen.textAlign = "right";
    pen.fillText("now", width - 8, height - 5);
  }

  /** Bars that keep their places in time, so that they move and do not flicker. */
  #drawLevel(pen, now, width, top, low) {
    const pixels = width / (SECONDS * PER_SECOND);
    const group = Math.max(1, Math.ceil((BAR + GAP) / pixels));
    const middle = (top + low) / 2, tallest = low - top;
    const first = this.#count - this.#levels.length;
    for (let g = Math.floor(first / group); g * group < this.#count; g++) {
      let peak = 0;
      for (let i = Math.max(first, g * group); i < Math.min(this.#count, (g + 1) * group); i++) {
        peak = Math.max(peak, this.#levels[i - first]);
      }
      const at = (g * group) / PER_SECOND;
      const spoken = this.#spans.some(({ from, to }) => at + group / PER_SECOND > from && at < (to ?? now));
      const tall = Math.max(2, Math.sqrt(peak) * tallest);
      pen.fillStyle = spoken ? this.#colours.speech : this.#colours.soft;
      pen.beginPath();
      pen.roundRect(width - (this.#count - g * group) * pixels, middle - tall / 2, BAR, tall, BAR / 2);
      pen.fill();
    }
  }

  /** Names in two rows; what has no room in either has its mark only. */
  #drawSounds(pen, x, width) {
    const { sound, card } = this.#colours;
    const ends = [-1, -1];
    pen.font = "600 11px system-ui, sans-serif";
    pen.textAlign = "left";
    for (const { from, to, name } of this.#sounds) {
      const wide = pen.measureText(name).width + 14;
      const left = Math.min(Math.max(2, x(from)), width - wide - 2);
      const row = ends.findIndex((end) => left > end);
      pen.fillStyle = sound;
      if (row < 0) { pen.fillRect(x(from), 2, x(to) - x(from), 2); continue; }
      ends[row] = left + wide + 2;
      pen.beginPath();
      pen.roundRect(left, 4 + 19 * row, wide, 17, 8.5);
      pen.fill();
      pen.fillStyle = card;
      pen.fillText(name, left + 7, 16 + 19 * row);
    }
  }
}
