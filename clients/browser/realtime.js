// A session with the server: OpenAI Realtime with this server's extensions. It outlives a connection
// that drops: events are counted, audio that did not arrive is sent again.

const KEPT_S = 30; // seconds of audio kept for a server that did not get them
const BYTES_PER_MS = 32;
const FAREWELLS = new Set([1000, 1008]);

export class Realtime extends EventTarget {
  #socket; #url; #session; #last = 0; #sent = 0; #kept = []; #keptBytes = 0;
  #tries = 0; #closed = false; #update;

  constructor(url, update) {
    super();
    this.#url = url;
    this.#update = update;
  }

  get connected() { return this.#socket?.readyState === WebSocket.OPEN; }

  connect() {
    const url = new URL(this.#url);
    if (this.#session) {
      url.searchParams.set("session_id", this.#session);
      url.searchParams.set("after", this.#last);
    }
    const socket = new WebSocket(url, ["realtime"]);
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#take(JSON.parse(data));
    socket.onclose = ({ code, reason }) => {
      if (this.#closed || socket !== this.#socket) return;
      this.#lost(code, reason);
    };
  }

  #take(event) {
    const number = /^event_(\d+)$/.exec(event.event_id);
    if (number) this.#last = Number(number[1]);
    if (event.type === "session.created") {
      this.#session = event.session.id;
      this.#tries = 0;
      this.send({ type: "session.update", session: this.#update });
      this.#tell("open", {});
    } else if (event.type === "salmonn.resumed") {
      this.#tries = 0;
      this.#resend(event.audio_ms);
      this.#tell("open", { resumed: true });
    }
    this.#tell("event", event);
  }

  #lost(code, reason) {
    if (FAREWELLS.has(code) || this.#tries >= 6) {
      this.#tell("lost", { final: true, reason: reason || "The server cannot be reached." });
      return;
    }
    if (code === 1011 || reason === "the session is over") this.#forget();
    const wait = Math.min(8000, 250 * 2 ** this.#tries++);
    this.#tell("lost", { final: false, wait });
    setTimeout(() => { if (!this.#closed) this.connect(); }, wait);
  }

  #forget() {
    this.#session = undefined;
    this.#last = this.#sent = 0;
    this.#kept = [];
    this.#keptBytes = 0;
  }

  #resend(received_ms) {
    let at = this.#sent - this.#keptBytes;
    const received = received_ms * BYTES_PER_MS;
    for (const piece of this.#kept) {
      const skip = Math.max(0, received - at);
      if (skip < piece.byteLength) this.#socket.send(piece.slice(skip));
      at += piece.byteLength;
    }
  }

  send(event) { if (this.connected) this.#socket.send(JSON.stringify(event)); }

  /** 16 kHz PCM16. */
  audio(piece) {
    this.#kept.push(piece);
    this.#keptBytes += piece.byteLength;
    this.#sent += piece.byteLength;
    while (this.#keptBytes > KEPT_S * 1000 * BYTES_PER_MS) {
      this.#keptBytes -= this.#kept.shift().byteLength;
    }
    if (this.connected && this.#session) this.#socket.send(piece);
  }

  close() {
    this.#closed = true;
    this.#socket?.close(1000);
  }

  /** For tests: drop the connection as a network does. */
  drop() { this.#socket?.close(3000, "dropped"); }

  #tell(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }
}
