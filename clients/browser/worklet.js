// Microphone samples at the device's rate -> 16 kHz, 16-bit, in pieces of 40 ms.
//
// Resampling: polyphase, a Kaiser-windowed sinc per phase (Smith, "Digital Audio Resampling"; Kaiser's
// formulas for length and beta). The ratio of rates is kept as integers, so nothing drifts.

const RATE = 16000;
const PIECE = 640;
const PASS = 0.9; // of the lower Nyquist frequency; from there to it the filter falls
const STOP_DB = 80; // what would fold back is weaker by this

function gcd(a, b) { return b ? gcd(b, a % b) : a; }

function bessel(x) { // I0, by its series
  let sum = 1, term = 1;
  for (let k = 1; term > 1e-12 * sum; k++) { term *= (x / (2 * k)) ** 2; sum += term; }
  return sum;
}

class Resampler {
  constructor(from, to) {
    const common = gcd(from, to);
    this.up = to / common;
    this.down = from / common;
    const nyquist = Math.min(1, to / from) / 2; // in cycles per input sample
    const cutoff = (nyquist * (1 + PASS)) / 2;
    const beta = 0.1102 * (STOP_DB - 8.7);
    const half = Math.ceil((STOP_DB - 8) / (2.285 * 2 * Math.PI * nyquist * (1 - PASS)) / 2);
    this.taps = 2 * half;
    this.filters = Array.from({ length: this.up }, (_, phase) => {
      const filter = new Float32Array(this.taps);
      for (let i = 0; i < this.taps; i++) {
        const x = i - half + 1 - phase / this.up;
        const sinc = x === 0 ? 1 : Math.sin(2 * Math.PI * cutoff * x) / (2 * Math.PI * cutoff * x);
        const inside = Math.max(0, 1 - (x / half) ** 2);
        filter[i] = 2 * cutoff * sinc * bessel(beta * Math.sqrt(inside)) / bessel(beta);
      }
      return filter;
    });
    this.held = new Float32Array(this.taps + 4096);
    this.filled = half - 1; // silence before the first sample
    this.at = 0; // where in `held` the next output's filter begins
    this.phase = 0;
  }

  push(input, put) {
    this.held.set(input, this.filled);
    this.filled += input.length;
    while (this.at + this.taps <= this.filled) {
      const filter = this.filters[this.phase];
      let sum = 0;
      for (let i = 0; i < this.taps; i++) sum += filter[i] * this.held[this.at + i];
      put(sum);
      this.phase += this.down;
      this.at += Math.floor(this.phase / this.up);
      this.phase %= this.up;
    }
    const done = Math.min(this.at, this.filled);
    this.held.copyWithin(0, done, this.filled);
    this.filled -= done;
    this.at -= done;
  }
}

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(sampleRate, RATE);
    this.put = this.put.bind(this);
    this.out = new Int16Array(PIECE);
    this.filled = 0;
  }

  process([channels]) {
    if (channels[0]) this.resampler.push(channels[0], this.put);
    return true;
  }

  put(sample) {
    this.out[this.filled++] = Math.max(-32768, Math.min(32767, Math.round(32768 * sample)));
    if (this.filled < PIECE) return;
    const piece = this.out.buffer;
    this.port.postMessage(piece, [piece]);
    this.out = new Int16Array(PIECE);
    this.filled = 0;
  }
}

registerProcessor("capture", Capture);
