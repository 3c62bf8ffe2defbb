// A session over WebRTC: audio goes by tracks, and messages by a data channel. It is used as Realtime is, and
// tells the same; but a session does not outlive its connection, and what was said meanwhile is lost.
//
//   track  what the server says, as a stream
//   lost   { unavailable }, too: there is no WebRTC here, or it does not get through

import { read, words } from "./realtime.js";

const TRIES = 3;
const BUSY_MS = 4000;
const OPEN_MS = 8000; // longest wait for a connection; on a local network it is there in half a second

export class Call extends EventTarget {
  #url; #settings; #token;
  #peer; #channel; #sender; #microphone; #timer;
  #tries = 0; #closed = false;
  #begun = false; // there has been a session

  constructor(url, settings, token) {
    super();
    this.#url = `${url}/calls`.replace(/^ws/, "http");
    this.#settings = settings;
    this.#token = token;
  }

  async connect() {
    const peer = new RTCPeerConnection();
    this.#peer = peer;
    this.#sender = peer.addTransceiver("audio", { direction: "sendrecv" }).sender;
    await this.hear(this.#microphone);
    peer.ontrack = ({ track }) => this.#tell("track", new MediaStream([track]));
    peer.onconnectionstatechange = () => { if (peer.connectionState === "failed") this.#lost(peer); };
    this.#channel = peer.createDataChannel("oai-events");
    this.#channel.onmessage = ({ data }) => this.#take(read(data));
    this.#channel.onclose = () => this.#lost(peer);
    this.#timer = setTimeout(() => this.#unavailable("It does not get through."), OPEN_MS);
    try {
      await peer.setLocalDescription();
      await this.#ask(peer);
    } catch (error) {
      if (peer === this.#peer && !this.#closed) this.#lost(peer);
    }
  }

  async #ask(peer) {
    const body = new FormData();
    body.set("sdp", peer.localDescription.sdp);
    body.set("session", JSON.stringify(this.#settings));
    const headers = this.#token ? { Authorization: `Bearer ${this.#token}` } : {};
    const answer = await fetch(this.#url, { method: "POST", headers, body });
    const text = await answer.text();
    if (peer !== this.#peer || this.#closed) return;
    if (answer.ok) await peer.setRemoteDescription({ type: "answer", sdp: text });
    else this.#refused(answer.status, words(text) || answer.statusText);
  }

  #refused(status, reason) {
    if (status === 401) return this.#end({ final: true, token: true, reason });
    if (status !== 429 && status !== 503) return this.#unavailable(reason);
    this.#drop();
    this.#tell("lost", { final: false, busy: true, reason });
    this.#again(BUSY_MS);
  }

  #take(event) {
    if (event.type === "session.created") {
      clearTimeout(this.#timer);
      this.#tries = 0;
      const how = { resumed: false, missing: 0, again: this.#begun, settings: event.session };
      this.#begun = true;
      this.#tell("open", how);
    }
    this.#tell("event", event);
  }

  #lost(peer) {
    if (this.#closed || peer !== this.#peer) return;
    this.#drop();
    if (!this.#begun) return this.#unavailable("It does not get through.");
    if (this.#tries >= TRIES) return this.#end({ final: true, reason: "The server cannot be reached." });
    this.#tell("lost", { final: false });
    this.#again(250 * 4 ** this.#tries++);
  }

  #again(wait) { this.#timer = setTimeout(() => { if (!this.#closed) this.connect(); }, wait); }

  #unavailable(reason) { this.#end({ final: true, unavailable: true, reason }); }

  #end(how) {
    this.close();
    this.#tell("lost", how);
  }

  #drop() {
    clearTimeout(this.#timer);
    this.#peer?.close();
    this.#peer = undefined;
  }

  send(event) { if (this.#channel?.readyState === "open") this.#channel.send(JSON.stringify(event)); }

  /** Pieces of audio are for sockets. */
  audio() {}

  /** Hear a microphone's track from here on. */
  async hear(track) {
    this.#microphone = track;
    await this.#sender?.replaceTrack(track ?? null);
  }

  /** Say no more of the answer that is being said. */
  silence() { this.send({ type: "output_audio_buffer.clear" }); }

  close() {
    this.#closed = true;
    this.#drop();
  }

  /** For tests: drop the connection as a network does. */
  drop() { this.#channel?.close(); }

  #tell(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }
}
