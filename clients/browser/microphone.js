// The microphone as 16 kHz PCM16 in pieces of 40 ms.

export class MicrophoneError extends Error {}

const WHY = {
  NotAllowedError: "The browser may not use the microphone. Allow it beside the address, then press Stop and Start. Until then you can type.",
  NotFoundError: "No microphone was found. Plug one in, or type your question.",
  NotReadableError: "The microphone is in use by another program.",
  OverconstrainedError: "That microphone is gone. Choose another one.",
};

export class Microphone {
  #context; #stream; #onpiece; #onend; #onpause;
  #muted = false;

  /** The system has taken it for a while: iOS does for a call, and while the screen is locked. */
  paused = false;

  /** Told every piece, when the device is gone, and when it is paused or no longer is. */
  constructor(onpiece, onend, onpause = () => {}) {
    this.#onpiece = onpiece;
    this.#onend = onend;
    this.#onpause = onpause;
  }

  /** Whether it gives silence. */
  get muted() { return this.#muted; }

  set muted(yes) {
    this.#muted = yes;
    if (this.track) this.track.enabled = !yes;
  }

  /** What it hears, once it is open. */
  get track() { return this.#stream?.getAudioTracks()[0]; }

  async open(deviceId, cancelsEcho = false) {
    if (!navigator.mediaDevices) {
      throw new MicrophoneError("Browsers give the microphone only to https pages and to localhost. You can type.");
    }
    // Only what is played could come back, and Chromium's echo canceller makes steady sounds, a clock, a fire,
    // up to 14 dB quieter.
    const audio = {
      echoCancellation: cancelsEcho, noiseSuppression: false, autoGainControl: true, channelCount: 1,
      ...(deviceId && { deviceId: { exact: deviceId } }),
    };
    try {
      this.#stream = await navigator.mediaDevices.getUserMedia({ audio });
    } catch (error) {
      throw new MicrophoneError(WHY[error.name] ?? `The microphone cannot be used: ${error.message}`);
    }
    this.track.onended = () => this.#onend();
    this.#context = new AudioContext();
    await this.#context.audioWorklet.addModule("worklet.js");
    const capture = new AudioWorkletNode(this.#context, "capture", {
      numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit",
    });
    capture.port.onmessage = ({ data }) => {
      this.#onpiece(this.muted ? new ArrayBuffer(data.byteLength) : data);
    };
    this.#context.createMediaStreamSource(this.#stream).connect(capture);
    this.#watch(this.#context);
    await this.#context.resume();
  }

  /** Go on hearing as soon as the system lets us. */
  #watch(context) {
    const goOn = () => {
      if (context !== this.#context) return document.removeEventListener("visibilitychange", goOn);
      if (context.state !== "running") context.resume().catch(() => {}); // not yet: it is tried again
    };
    context.onstatechange = () => {
      if (context !== this.#context || context.state === "closed") return;
      const before = this.paused;
      this.paused = context.state !== "running"; // suspended, or iOS's interrupted
      if (this.paused !== before) this.#onpause();
      goOn();
    };
    document.addEventListener("visibilitychange", goOn);
  }

  async close() {
    const context = this.#context;
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#stream = this.#context = undefined;
    await context?.close();
  }

  static async devices() {
    const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    return all.filter((device) => device.kind === "audioinput" && device.deviceId);
  }
}
