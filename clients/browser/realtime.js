// A session with the server: OpenAI Realtime with this server's extensions. It outlives a connection
// that drops: events are counted, audio that did not arrive is sent again.

const KEPT_BYTES = 30 * 32000; // audio kept for a server that did not get it: half a minute
const FAREWELLS = new Set([1000, 1008, 1011]);

export class Realtime extends EventTarget {
  #socket; #url; #session; #last = 0; #sent = 0; #kept = []; #keptBytes = 0;
  #tries = 0; #closed = false; #update;
  #ready = false; // the server knows this session, on this connection
  #waiting = []; // events for when it does

  constructor(url, update) {
    super();
    this.#url = url;
    this.#update = update;
  }

  connect() {
    const url = new URL(this.#url);
    if (this.#session) {
      url.searchParams.set("session_id", this.#session);
      url.searchParams.set("after", this.#last);
    }
    const socket = new WebSocket(url, ["realtime"]);
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#take(JSON.parse(data), socket);
    socket.onclose = ({ code, reason }) => {
      if (this.#closed || socket !== this.#socket) return;
      this.#ready = false;
      this.#lost(code, reason);
    };
  }

  #take(event, socket) {
    const number = /^event_(\d+)$/.exec(event.event_id);
    if (number) this.#last = Number(number[1]);
    if (event.type === "session.created") {
      this.#session = event.session.id;
      this.#tries = 0;
      socket.send(JSON.stringify({ type: "session.update", session: this.#update }));
      this.#go(0);
      this.#tell("open", {});
    } else if (event.type === "salmonn.resumed") {
      this.#tries = 0;
      this.#go(event.audio_bytes);
      this.#tell("open", { resumed: true });
    }
    this.#tell("event", event);
  }

  #lost(code, reason) {
    if (FAREWELLS.has(code) || this.#tries >= 6) {
      this.#tell("lost", { final: true, reason: reason || "The server cannot be reached." });
      return;
    }
    const wait = Math.min(8000, 250 * 2 ** this.#tries++);
    this.#tell("lost", { final: false, wait });
    setTimeout(() => { if (!this.#closed) this.connect(); }, wait);
  }

  /** Send what the server, which has so many bytes of audio, did not get; then go on. */
  #go(received) {
    let at = this.#sent - this.#keptBytes;
    for (const piece of this.#kept) {
      const skip = Math.max(0, received - at);
      if (skip < piece.byteLength) this.#socket.send(piece.slice(skip));
      at += piece.byteLength;
    }
    this.#ready = true;
    for (const event of this.#waiting.splice(0)) this.send(event);
  }

  send(event) {
    if (this.#ready) this.#socket.send(JSON.stringify(event));
    else this.#waiting.push(event);
  }

  /** 16 kHz PCM16. */
  audio(piece) {
    this.#kept.push(piece);
    this.#keptBytes += piece.byteLength;
    this.#sent += piece.byteLength;
    while (this.#keptBytes > KEPT_BYTES) {
      this.#keptBytes -= this.#kept.shift().byteLength;
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
