// Microphone samples at the device's rate -> 16 kHz, 16-bit, in pieces of 40 ms.
// Resampling: band-limited interpolation with a Hann-windowed sinc (Smith, "Digital Audio Resampling").

const RATE = 16000;
const PIECE = 640;
const WING = 16; // zero crossings of the sinc on either side

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.step = sampleRate / RATE; // input samples per output sample
    this.cutoff = Math.min(1, 1 / this.step) * 0.94;
    this.reach = Math.ceil(WING / this.cutoff);
    this.held = new Float32Array(this.reach); // input, from `this.origin` on
    this.origin = -this.reach;
    this.next = 0; // place of the next output sample, in input samples
    this.out = new Int16Array(PIECE);
    this.filled = 0;
  }

  process([channels]) {
    const input = channels[0];
    if (!input) return true;
    const joined = new Float32Array(this.held.length + input.length);
    joined.set(this.held);
    joined.set(input, this.held.length);
    const end = this.origin + joined.length;
    while (this.next + this.reach < end) {
      this.put(this.at(joined, this.next));
      this.next += this.step;
    }
    const keep = Math.max(0, Math.floor(this.next) - this.reach - this.origin);
    this.held = joined.slice(keep);
    this.origin += keep;
    return true;
  }

  at(samples, place) {
    const middle = Math.floor(place);
    let sum = 0;
    for (let i = middle - this.reach + 1; i <= middle + this.reach; i++) {
      const sample = samples[i - this.origin];
      if (!sample) continue;
      const x = (i - place) * this.cutoff;
      const sinc = x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
      const hann = 0.5 + 0.5 * Math.cos((Math.PI * x) / (WING + 1));
      sum += sample * sinc * hann;
    }
    return sum * this.cutoff;
  }

  put(sample) {
    this.out[this.filled++] = Math.round(32767 * Math.max(-1, Math.min(1, sample)));
    if (this.filled < PIECE) return;
    const piece = this.out.buffer;
    this.port.postMessage(piece, [piece]);
    this.out = new Int16Array(PIECE);
    this.filled = 0;
  }
}

registerProcessor("capture", Capture);
