// A session with the server: OpenAI Realtime with this server's extensions. It outlives a connection
// that drops: events are counted, and what did not arrive, audio and all else, is sent again in order.
//
//   open   { resumed, missing, again }: the session can be used; so many bytes of audio were not kept;
//          again: it is another one, after one that the server ended or has forgotten; settings: its own
//   lost   { final, busy, token, reason }: there is no connection; unless final, it is tried again
//   event  the server's; or an error of our own about a message that is none

const KEPT_BYTES = 30 * 32000; // of audio: half a minute
const KEPT_MESSAGES = 1000, KEPT_CHARACTERS = 4 * 2 ** 20; // of text
const GOING_AWAY = 1001, TOO_SLOW = 1008, BROKEN = 1011, TRY_LATER = 1013;
const TRIES = 10; // to come back, three quarters of a minute
const FIRST_TRIES = 3;
const BUSY_MS = 4000;
const AGAIN_MS = 1000; // before another session, after one that failed
const ASLEEP = "keepalive ping timeout"; // closed with 1011, too, but the session can be gone on with
const FORGOTTEN = "this session cannot be resumed";
// Statuses that may be others in a while. 426: nothing is wrong with the address, but it is asked over HTTP.
const FOR_NOW = [408, 425, 426, 429, 500, 502, 503, 504];

export class Realtime extends EventTarget {
  #socket; #url; #update; #token;
  #session; #last = 0;
  #kept; #size; #before; // what was sent, audio and text; how much that is; and how much came before it
  #tries = 0; #closed = false;
  #begun = false; // there has been a session
  #expired = false; // and it has lasted as long as it may
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
    socket.onmessage = ({ data }) => { welcome = true; this.#take(read(data)); };
    socket.onclose = async ({ code, reason }) => {
      if (this.#closed || socket !== this.#socket) return;
      this.#ready = false;
      const refusal = welcome || reason ? {} : await this.#refusal(url);
      if (!this.#closed && socket === this.#socket) this.#lost(code, reason, refusal);
    };
  }

  #take(event) {
    const number = /^event_(\d+)$/.exec(event.event_id);
    if (number) this.#last = Number(number[1]);
    if (event.type === "session.created") {
      this.#session = event.session?.id;
      this.#tries = 0;
      this.#go(0, 0, { resumed: false, again: this.#begun, settings: event.session });
      this.#begun = true;
    } else if (event.type === "salmonn.resumed") {
      this.#tries = 0;
      this.#go(event.audio_bytes, event.messages, { resumed: true });
    } else if (event.type === "error" && event.error.code === "session_expired") {
      this.#expired = true;
    }
    this.#tell("event", event);
  }

  /** Why a handshake failed: browsers do not tell, but the server does when it is asked over HTTP. */
  async #refusal(url) {
    try {
      const headers = this.#token ? { Authorization: `Bearer ${this.#token}` } : {};
      const answer = await fetch(url.href.replace(/^ws/, "http"), { headers, cache: "no-store" });
      return { status: answer.status, reason: words(await answer.text()) || answer.statusText };
    } catch {
      return {}; // it cannot be reached: the close code says as much
    }
  }

  #lost(code, reason, refusal) {
    const broken = code === BROKEN && reason !== ASLEEP;
    if (this.#session && (broken || this.#expired)) {
      return this.#anew(broken && reason !== FORGOTTEN ? AGAIN_MS : 0);
    }
    const refused = refusal.status >= 400 && !FOR_NOW.includes(refusal.status);
    if (refused || code === TOO_SLOW || broken) {
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

  /** The server has ended the session, or forgotten it: begin another one. */
  #anew(wait) {
    this.#session = undefined;
    this.#expired = false;
    this.#last = 0;
    this.#forget();
    if (wait) setTimeout(() => { if (!this.#closed) this.connect(); }, wait);
    else this.connect();
  }

  #forget() {
    this.#kept = [];
    this.#size = { bytes: 0, messages: 0, characters: 0 };
    this.#before = { bytes: 0, messages: 1 }; // the settings are the first message
  }

  /** Send what the server, which has so much of audio and so many messages, did not get. */
  #go(bytes, messages, how) {
    if (messages === 0) this.#socket.send(this.#update);
    const missing = Math.max(0, this.#before.bytes - bytes);
    this.#before.bytes -= missing; // the server counts without them
    this.#before.messages = Math.min(this.#before.messages, Math.max(1, messages));
    while (this.#kept.length) {
      const piece = this.#kept[0], skip = bytes - this.#before.bytes;
      if (typeof piece === "string" ? this.#before.messages >= messages : skip < piece.byteLength) {
        if (typeof piece !== "string") this.#cut(skip);
        break;
      }
      this.#drop();
    }
    for (const piece of this.#kept) this.#socket.send(piece);
    this.#ready = true;
    this.#tell("open", { ...how, missing });
  }

  /** Keep so many bytes of the oldest piece, which is audio, no longer. */
  #cut(bytes) {
    this.#kept[0] = this.#kept[0].slice(bytes);
    this.#size.bytes -= bytes;
    this.#before.bytes += bytes;
  }

  /** Keep the oldest piece no longer. */
  #drop() {
    const oldest = this.#kept.shift();
    this.#count(oldest, -1);
    if (typeof oldest === "string") this.#before.messages++;
    else this.#before.bytes += oldest.byteLength;
  }

  #count(piece, sign) {
    if (typeof piece === "string") {
      this.#size.messages += sign;
      this.#size.characters += sign * piece.length;
    } else {
      this.#size.bytes += sign * piece.byteLength;
    }
  }

  /** Whether more is kept than has to be; the newest of each kind always is. */
  #full() {
    const oldest = this.#kept[0], { bytes, messages, characters } = this.#size;
    return bytes - (oldest.byteLength ?? 0) >= KEPT_BYTES ||
      characters - (oldest.length ?? 0) >= KEPT_CHARACTERS || messages > KEPT_MESSAGES;
  }

  send(event) { this.#put(JSON.stringify(event)); }

  /** 16 kHz PCM16. */
  audio(piece) { this.#put(piece); }

  #put(piece) {
    this.#kept.push(piece);
    this.#count(piece, 1);
    while (this.#full()) this.#drop();
    if (this.#ready) this.#socket.send(piece);
  }

  /** A microphone's track is for calls. */
  hear() {}

  /** Answers are played here, and stop here. */
  silence() {}

  close() {
    this.#closed = true;
    this.#socket?.close(1000);
  }

  /** For tests: drop the connection as a network does. */
  drop() { this.#socket?.close(3000, "dropped"); }

  #tell(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }
}

/** A message as an event; one that is none is an error, which does not quote it: it may hold speech. */
export function read(data) {
  try {
    const event = JSON.parse(data);
    if (typeof event.type === "string") return event;
  } catch { /* told below */ }
  const message = "The server sent something that is no event.";
  return { type: "error", error: { type: "client_error", code: "unreadable_message", message } };
}

/** What a server says about a refusal: as OpenAI's JSON, or as text; nothing where it is a proxy's page. */
export function words(text) {
  try {
    return String(JSON.parse(text).error.message);
  } catch {
    return text.trim().startsWith("<") ? "" : text.trim();
  }
}
