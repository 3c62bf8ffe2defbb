// The last 30 seconds as a picture: level, utterances, sounds, and what the model has heard already.

const SECONDS = 30;
const PER_SECOND = 25; // pieces of 40 ms

export class Strip {
  #canvas; #levels = []; #count = 0; #spans = []; #sounds = []; #prefilled = [];

  constructor(canvas) {
    this.#canvas = canvas;
    const frame = () => { this.#draw(); requestAnimationFrame(frame); };
    requestAnimationFrame(frame);
  }

  get now() { return this.#count / PER_SECOND; }

  level(piece) {
    const samples = new Int16Array(piece);
    let peak = 0;
    for (const sample of samples) peak = Math.max(peak, Math.abs(sample));
    this.#levels.push(peak / 32768);
    this.#count++;
    if (this.#levels.length > SECONDS * PER_SECOND) this.#levels.shift();
  }

  speechStarted(ms) { this.#spans.push({ from: ms / 1000, to: null }); }
  speechStopped(ms) { const span = this.#spans.at(-1); if (span) span.to = ms / 1000; }
  prefilled(ms) { this.#prefilled.push(ms / 1000); }
  sound(from, to, name) { this.#sounds.push({ from: from / 1000, to: to / 1000, name }); }

  #draw() {
    const canvas = this.#canvas;
    const ratio = devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (canvas.width !== width * ratio) canvas.width = width * ratio;
    if (canvas.height !== height * ratio) canvas.height = height * ratio;
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`);
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const now = this.now, begin = now - SECONDS;
    const x = (seconds) => ((seconds - begin) / SECONDS) * width;
    const fresh = (list) => list.filter((entry) => (entry.to ?? now) > begin);
    this.#spans = fresh(this.#spans);
    this.#sounds = fresh(this.#sounds);
    this.#prefilled = this.#prefilled.filter((at) => at > begin);

    pen.fillStyle = colour("speech");
    pen.globalAlpha = 0.22;
    for (const { from, to } of this.#spans) pen.fillRect(x(from), 0, x(to ?? now) - x(from), height - 8);
    pen.globalAlpha = 1;

    const middle = (height - 8) / 2;
    const step = width / (SECONDS * PER_SECOND);
    pen.fillStyle = colour("soft");
    this.#levels.forEach((level, i) => {
      const place = width - (this.#levels.length - i) * step;
      const tall = Math.max(1, Math.sqrt(level) * (height - 20));
      pen.fillRect(place, middle - tall / 2, Math.max(0.8, step * 0.7), tall);
    });

    pen.fillStyle = colour("prefilled");
    for (const at of this.#prefilled) pen.fillRect(x(at) - 2, height - 6, 4, 4);

    pen.font = "11px system-ui, sans-serif";
    for (const { from, to, name } of this.#sounds) {
      pen.fillStyle = colour("sound");
      pen.fillRect(x(from), 2, Math.max(2, x(to) - x(from)), 2);
      pen.fillText(name, Math.max(2, x(from)), 16);
    }
  }
}
