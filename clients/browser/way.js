// The way to the server: a socket, or WebRTC. Which one is remembered.

import { Call } from "./call.js";
import { Realtime } from "./realtime.js";

const KEPT = "way", WEBRTC = "webrtc";

export class Way {
  #select;

  /** Chosen with `select`; `changed` is told when another one is. */
  constructor(select, changed) {
    this.#select = select;
    if (localStorage.getItem(KEPT) === WEBRTC) select.value = WEBRTC;
    select.onchange = () => { localStorage.setItem(KEPT, select.value); changed(); };
  }

  /** The words for it. */
  get name() { return this.#select.value === WEBRTC ? "WebRTC" : "a socket"; }

  /** A session with the server at `address`, which is a socket's. */
  session(address, settings, token) {
    const kind = this.#select.value === WEBRTC ? Call : Realtime;
    return new kind(address, settings, token);
  }

  /** Take a socket this time. */
  instead() { this.#select.value = "socket"; }
}
