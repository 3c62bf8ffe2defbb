// A session with the server: OpenAI Realtime with this server's extensions. It outlives a connection
// that drops: events are counted, and what did not arrive, audio and all else, is sent again in order.
//
//   open   { resumed, missing }: the session can be used; so many bytes of audio were not kept
//   lost   { final, busy, token, reason }: there is no connection; unless final, it is tried again
//   event  the server's

const KEPT_BYTES = 30 * 32000; // of audio, and what was sent between it: half a minute
const GOING_AWAY = 1001, TOO_SLOW = 1008, BROKEN = 1011, TRY_LATER = 1013;
const TRIES = 10; // to come back, three quarters of a minute
const FIRST_TRIES = 3;
const BUSY_MS = 4000;

export class Realtime extends EventTarget {
  #socket; #url; #update; #token;
  #session; #last = 0;
  #kept; #keptBytes; #before; // what was sent, audio and text, and how much of each before it
  #tries = 0; #closed = false;
  #ready = false; // the server knows this session, on this connection

  constructor(url, settings, token) {
    super();
    this.#url = url;
    this.#update = JSON.stringify({ type: "session.update", session: settings });
    this.#token = token;
    this.#forget();
  }

  connect() {
    const url = new URL(this.#url);
    if (this.#session) {
      url.searchParams.set("session_id", this.#session);
      url.searchParams.set("after", this.#last);
    }
    const key = this.#token ? [`openai-insecure-api-key.${this.#token}`] : [];
    const socket = new WebSocket(url, ["realtime", ...key]);
    this.#socket = socket;
    let welcome = false;
    socket.onmessage = ({ data }) => { welcome = true; this.#take(JSON.parse(data), socket); };
    socket.onclose = async ({ code, reason }) => {
      if (this.#closed || socket !== this.#socket) return;
      this.#ready = false;
      const refusal = welcome || reason ? {} : await this.#refusal(url);
      if (!this.#closed && socket === this.#socket) this.#lost(code, reason, refusal);
    };
  }

  #take(event, socket) {
    const number = /^event_(\d+)$/.exec(event.event_id);
    if (number) this.#last = Number(number[1]);
    if (event.type === "session.created") {
      this.#session = event.session.id;
      this.#tries = 0;
      this.#go(0, 0, { resumed: false });
    } else if (event.type === "salmonn.resumed") {
      this.#tries = 0;
      this.#go(event.audio_bytes, event.messages, { resumed: true });
    }
    this.#tell("event", event);
  }

  /** Why a handshake failed: browsers do not tell, but the server does when it is asked over HTTP. */
  async #refusal(url) {
    try {
      const headers = this.#token ? { Authorization: `Bearer ${this.#token}` } : {};
      const answer = await fetch(url.href.replace(/^ws/, "http"), { headers, cache: "no-store" });
      return { status: answer.status, reason: (await answer.text()).trim() };
    } catch {
      return {}; // it cannot be reached: the close code says as much
    }
  }

  #lost(code, reason, refusal) {
    if (code === BROKEN && this.#session) return this.#anew();
    if ([401, 403].includes(refusal.status) || code === TOO_SLOW || code === BROKEN) {
      const told = refusal.reason || reason || "The server ended the session.";
      return this.#tell("lost", { final: true, token: refusal.status === 401, reason: told });
    }
    const busy = [429, 503].includes(refusal.status);
    const why = busy ? refusal.reason : [GOING_AWAY, TRY_LATER].includes(code) ? reason : "";
    if (!busy && this.#tries >= (this.#session ? TRIES : FIRST_TRIES)) {
      return this.#tell("lost", { final: true, reason: "The server cannot be reached." });
    }
    this.#tell("lost", { final: false, busy, reason: why });
    const wait = busy ? BUSY_MS : Math.min(8000, 250 * 2 ** this.#tries++);
    setTimeout(() => { if (!this.#closed) this.connect(); }, wait);
  }

  /** The server has forgotten the session: begin another one. */
  #anew() {
    this.#session = undefined;
    this.#last = 0;
    this.#forget();
    this.connect();
  }

  #forget() {
    this.#kept = [this.#update];
    this.#keptBytes = 0;
    this.#before = { bytes: 0, messages: 0 };
  }

  /** Send what the server, which has so much of audio and so many messages, did not get. */
  #go(bytes, messages, how) {
    const missing = Math.max(0, this.#before.bytes - bytes);
    this.#before.bytes -= missing; // the server counts without them
    const at = { ...this.#before };
    for (const piece of this.#kept) {
      if (typeof piece === "string") {
        if (at.messages++ >= messages) this.#socket.send(piece);
        continue;
      }
      const skip = Math.max(0, bytes - at.bytes);
      if (skip < piece.byteLength) this.#socket.send(piece.slice(skip));
      at.bytes += piece.byteLength;
    }
    this.#ready = true;
    this.#tell("open", { ...how, missing });
  }

  send(event) { this.#put(JSON.stringify(event)); }

  /** 16 kHz PCM16. */
  audio(piece) {
    this.#keptBytes += piece.byteLength;
    this.#put(piece);
  }

  #put(piece) {
    this.#kept.push(piece);
    while (this.#keptBytes - (this.#kept[0].byteLength ?? 0) >= KEPT_BYTES) {
      const oldest = this.#kept.shift();
      if (typeof oldest === "string") this.#before.messages++;
      else {
        this.#keptBytes -= oldest.byteLength;
        this.#before.bytes += oldest.byteLength;
      }
    }
    if (this.#ready) this.#socket.send(piece);
  }

  close() {
    this.#closed = true;
    this.#socket?.close(1000);
  }

  /** For tests: drop the connection as a network does. */
  drop() { this.#socket?.close(3000, "dropped"); }

  #tell(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }
}
