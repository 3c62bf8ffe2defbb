// Plays answers: 24 kHz PCM16, in the order in which it comes. And rings.
//
// It sounds from an element of the page, not from Web Audio itself: echo cancellers take out of the
// microphone what elements play.

const RATE = 24000;
const BEFORE_S = 0.06; // what comes late by less leaves no gap
const DUCKED = 0.35; // how loud it is while somebody may be interrupting
const RING = [880, 660, 880, 660]; // Hz, one tone after another
const TONE_S = 0.3;
const RING_LEVEL = 0.4, FADED = 0.001; // at the beginning and the end of a tone

export class Speaker {
  #context; #element; #out;
  #track; #sounds = false; // plays a track of the server's, which says when it sounds
  #at = 0; // when what is there has been played, in seconds of the context
  #pieces = []; // { item, begin, length, source }

  /** Get ready to play, soon after a click, as browsers want it. */
  open() {
    if (this.#context) return;
    this.#context = new AudioContext({ sampleRate: RATE });
    this.#out = this.#context.createMediaStreamDestination();
    this.#element = new Audio();
    this.#element.srcObject = this.#out.stream;
    this.#context.resume().catch(() => {});
    this.#element.play().catch(() => {}); // the next click allows it
  }

  /** Play a track of the server's, over which answers come. */
  attach(stream) {
    this.#track ??= new Audio();
    this.#track.srcObject = stream;
    this.#track.play().catch(() => {});
  }

  /** An answer is heard over that track, or no longer. */
  sounds(yes) { this.#sounds = yes; }

  /** Play a piece of an item's audio, base64, after all that is there. */
  play(item, encoded) {
    if (!this.#context) return;
    const samples = decoded(encoded);
    if (!samples.length) return;
    if (this.#element.paused) this.#element.play().catch(() => {});
    const buffer = this.#context.createBuffer(1, samples.length, RATE);
    buffer.copyToChannel(samples, 0);
    const source = this.#context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.#out);
    const begin = Math.max(this.#at, this.#context.currentTime + BEFORE_S);
    source.start(begin);
    if (this.#pieces.at(-1)?.item !== item) this.#pieces = [];
    this.#pieces.push({ item, begin, length: buffer.duration, source });
    this.#at = begin + buffer.duration;
  }

  /** Ring, at once; what is played next comes after it. */
  ring() {
    this.open();
    if (this.#element.paused) this.#element.play().catch(() => {});
    let begin = this.#context.currentTime + BEFORE_S;
    for (const hertz of RING) {
      const tone = this.#context.createOscillator(), level = this.#context.createGain();
      tone.frequency.value = hertz;
      level.gain.setValueAtTime(RING_LEVEL, begin);
      level.gain.exponentialRampToValueAtTime(FADED, begin + TONE_S);
      tone.connect(level).connect(this.#out);
      tone.start(begin);
      begin += TONE_S;
      tone.stop(begin);
    }
    this.#at = Math.max(this.#at, begin);
  }

  /** Somebody speaks, who may be interrupting: be quieter for as long. */
  duck(yes) {
    for (const element of [this.#element, this.#track]) if (element) element.volume = yes ? DUCKED : 1;
  }

  /** Whether an answer is being played. */
  get playing() { return this.#sounds || (Boolean(this.#context) && this.#context.currentTime < this.#at); }

  /** The item that was played last. */
  get item() { return this.#pieces.at(-1)?.item; }

  /** Milliseconds of an item's audio that were played. */
  played(item) {
    const now = this.#context?.currentTime ?? 0;
    const ours = this.#pieces.filter((piece) => piece.item === item);
    const seconds = ours.reduce((sum, { begin, length }) => sum + Math.max(0, Math.min(length, now - begin)), 0);
    return Math.floor(1000 * seconds);
  }

  /** Play no more. @returns the milliseconds of the item that were played; undefined: all of them were */
  stop(item) {
    const played = this.played(item), was = this.#at > (this.#context?.currentTime ?? 0) && this.#pieces.at(-1)?.item === item;
    for (const { source } of this.#pieces) source.stop();
    this.#pieces = [];
    this.#at = 0;
    return was ? played : undefined;
  }

  close() {
    this.stop();
    this.#element?.pause();
    this.#track?.pause();
    this.#track = undefined;
    this.#sounds = false;
    this.#context?.close();
    this.#context = this.#element = undefined;
  }
}

function decoded(encoded) {
  const bytes = Uint8Array.from(atob(encoded), (char) => char.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length >> 1 }, (_, n) => view.getInt16(2 * n, true) / 32768);
}
