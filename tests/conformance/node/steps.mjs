// The official @openai/agents client takes the steps of tests/conformance/steps.py.
//
// node steps.mjs OPTIONS.json: prints a line of JSON for each step, and what was parsed at the end.
import { readFileSync } from "node:fs";
import assert from "node:assert/strict";
import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession, tool } from "@openai/agents/realtime";

const options = JSON.parse(readFileSync(process.argv[2], "utf8"));
const TURN = "...SSSS" + ".".repeat(12);
const parsed = new Set();
const seen = new Set();
let complaint = null;
process.on("uncaughtException", (error) => (complaint = error)); // thrown by the library's listeners

const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const quiet = (frames) => ".".repeat(frames);

/** `"..SSS.."`, 20 ms a mark: loud or silent. PCM16 at 24 kHz. */
function pcm24(script) {
  return Int16Array.from([...script].flatMap((mark) => Array(480).fill(mark === "S" ? 16384 : 0))).buffer;
}

/** The same at 8 kHz mu-law. */
function mulaw(script) {
  return Uint8Array.from([...script].flatMap((mark) => Array(160).fill(mark === "S" ? 0x9f : 0xff))).buffer;
}

const light = tool({
  name: "switch_light",
  description: "Switch the light.",
  parameters: {
    type: "object",
    properties: { on: { type: "boolean" } },
    required: [],
    additionalProperties: true,
  },
  strict: false,
  execute: async () => "{}",
});

/** A configured session, and the events that have come and were not waited for. */
class Connection {
  constructor() {
    this.transport = new OpenAIRealtimeWebSocket();
    const agent = new RealtimeAgent({ name: "nano", instructions: "Reply.", tools: [light] });
    const turnDetection = { type: "server_vad", silenceDurationMs: 160, interruptResponse: true };
    this.session = new RealtimeSession(agent, {
      transport: this.transport,
      config: { audio: { input: { turnDetection } } },
    });
    this.session.on("error", ({ error }) => this.take("its error", error));
    this.came = [];
    this.transport.on("*", (event) => {
      if (!seen.has(event.type)) {
        seen.add(event.type); // the library tells "*" first, and others only what fits its schema
        this.transport.on(event.type, () => parsed.add(event.type));
      }
      this.take(event.type, event);
    });
  }

  static async open(host, key = "none", query = {}) {
    const connection = new Connection();
    const url = `ws://${host}/v1/realtime?${new URLSearchParams(query)}`;
    await connection.session.connect({ apiKey: key, url });
    return connection;
  }

  take(kind, event) {
    this.came.push([kind, event]);
    this.wake?.();
  }

  async until(kind) {
    for (;;) {
      while (this.came.length) {
        const [came, event] = this.came.shift();
        if (came === kind) return event;
      }
      if (complaint) throw complaint;
      await new Promise((resolve) => (this.wake = resolve));
    }
  }

  /** The `event_id` that the next of the library's error events names. */
  async error() {
    return (await this.until("its error")).error.event_id;
  }

  send(type, fields = {}) {
    this.transport.sendEvent({ type, ...fields });
  }

  append(audio) {
    this.session.sendAudio(audio);
  }

  /** An answer was asked for: let it come to its end. */
  async finished() {
    await this.until("response.created");
    this.append(pcm24(quiet(40)));
    return (await this.until("response.done")).response;
  }

  /** A whole turn: ids of what was said, and of the answer. */
  async turn() {
    this.append(pcm24(TURN + quiet(30)));
    const said = (await this.until("input_audio_buffer.committed")).item_id;
    await this.until("conversation.item.input_audio_transcription.completed");
    const [answer] = (await this.until("response.done")).response.output;
    return [said, answer.id];
  }
}

const transcription = "conversation.item.input_audio_transcription";

const steps = {
  async "connect"(connection) {
    const { session } = await connection.until("session.created");
    assert.equal(session.type, "realtime");
    assert.deepEqual(session.audio.input.format, { type: "audio/pcm", rate: 24000 });
  },

  async "be refused without the right key"() {
    const connection = await Connection.open(options.guarded, options.token);
    await connection.until("session.created");
    connection.session.close();
    await assert.rejects(Connection.open(options.guarded, "wrong"), (error) => /401/.test(error.error?.message ?? error.message));
  },

  async "configure"(connection) {
    let session = {};
    while (!session.tools?.length) ({ session } = await connection.until("session.updated"));
    assert.equal(session.tools[0].name, "switch_light");
    assert.deepEqual(session.output_modalities, ["text"]);
    assert.equal(session.audio.input.turn_detection.silence_duration_ms, 160);
    assert.equal(session.audio.input.turn_detection.interrupt_response, true);
    assert.equal(session.audio.input.transcription.model, "gpt-4o-mini-transcribe");
  },

  async "speak, with captions and a streamed answer"(connection) {
    connection.append(pcm24(TURN));
    const spoken = (await connection.until("input_audio_buffer.speech_started")).item_id;
    assert.equal((await connection.until(`${transcription}.delta`)).item_id, spoken);
    assert.equal((await connection.until("input_audio_buffer.committed")).item_id, spoken);
    const first = await connection.until("response.output_text.delta");
    const transcribed = await connection.until(`${transcription}.completed`);
    assert.equal(transcribed.item_id, spoken);
    assert.match(transcribed.transcript, /all$/);
    await connection.until("conversation.item.retrieved"); // the library asks, for its history
    connection.append(pcm24(quiet(30)));
    const { text } = await connection.until("response.output_text.done");
    assert.ok(text.startsWith(first.delta));
    const { response } = await connection.until("response.done");
    assert.equal(response.status, "completed");
    assert.deepEqual(response.output[0].content, [{ type: "output_text", text }]);
    assert.ok(response.usage.input_token_details.audio_tokens > 0);
    const [heard, said] = connection.session.history;
    assert.match(heard.content[0].transcript, /all$/);
    assert.equal(said.content[0].text, text);
  },

  async "hear the answer, and not all of it"() {
    const connection = await Connection.open(options.speaking);
    const { session } = await connection.until("session.updated");
    assert.deepEqual(session.output_modalities, ["audio"]);
    assert.equal(session.audio.output.voice, "speaker");
    let heard = 0;
    connection.transport.on("audio", ({ data }) => (heard += data.byteLength));
    connection.append(pcm24(TURN + quiet(60)));
    const words = await connection.until("response.output_audio_transcript.delta");
    const sound = await connection.until("response.output_audio.delta");
    await connection.until("response.output_audio.done");
    const { transcript } = await connection.until("response.output_audio_transcript.done");
    assert.ok(transcript.startsWith(words.delta));
    const { part } = await connection.until("response.content_part.done");
    assert.deepEqual(part, { type: "audio", transcript });
    const { response } = await connection.until("response.done");
    assert.equal(response.status, "completed");
    assert.deepEqual(response.output_modalities, ["audio"]);
    assert.ok(heard > 0);
    const { item_id } = sound;
    connection.send("conversation.item.truncate", { item_id, content_index: 0, audio_end_ms: 65 });
    await connection.until("conversation.item.truncated");
    connection.send("conversation.item.retrieve", { item_id });
    let item;
    while (item?.id !== item_id || item.content[0].transcript !== "I heard ") {
      ({ item } = await connection.until("conversation.item.retrieved"));
    }
    connection.session.close();
  },

  async "speak a recording to a real model"() {
    const connection = await Connection.open(options.real);
    const recording = readFileSync(options.recording);
    for (let at = 0; at < recording.length; at += 4800) {
      connection.append(new Uint8Array(recording.subarray(at, at + 4800)).buffer);
    }
    await connection.until("input_audio_buffer.speech_started");
    await connection.until(`${transcription}.delta`);
    await connection.until("input_audio_buffer.speech_stopped");
    const { response } = await connection.until("response.done");
    assert.ok(["completed", "incomplete"].includes(response.status));
    assert.ok(response.usage.input_token_details.cached_tokens > 0);
    connection.session.close();
  },

  async "type a message"(connection) {
    connection.append(pcm24(quiet(10)));
    connection.session.sendMessage("What was that?");
    const { item } = await connection.until("conversation.item.done");
    assert.deepEqual(item.content, [{ type: "input_text", text: "What was that?" }]);
    assert.equal((await connection.finished()).status, "completed");
  },

  async "restore a conversation"(connection) {
    for (const [name, role, kind, place] of [
      ["one", "user", "input_text", {}],
      ["two", "assistant", "output_text", {}],
      ["three", "user", "input_text", {}],
      ["zero", "system", "input_text", { previous_item_id: "root" }],
    ]) {
      const content = [{ type: kind, text: name }];
      connection.send("conversation.item.create", { item: { id: name, type: "message", role, content }, ...place });
      const { item } = await connection.until("conversation.item.done");
      assert.equal(item.role, role);
      assert.deepEqual(item.content, content);
    }
    connection.session.sendMessage("four");
    assert.equal((await connection.finished()).status, "completed");
  },

  async "end turns by hand, in mu-law"(connection) {
    const input = { format: { type: "audio/pcmu" }, turn_detection: null };
    connection.send("session.update", { session: { type: "realtime", audio: { input } } });
    let detection = "unknown";
    while (detection !== null) {
      detection = (await connection.until("session.updated")).session.audio.input.turn_detection;
    }
    connection.append(mulaw("SSSS"));
    connection.send("input_audio_buffer.clear");
    await connection.until("input_audio_buffer.cleared");
    connection.session.sendAudio(mulaw("SSSSSSSS"), { commit: true });
    await connection.until("input_audio_buffer.committed");
    connection.transport.requestResponse({ metadata: { topic: "light" } });
    await connection.until("response.created");
    connection.append(mulaw(quiet(40)));
    const { response } = await connection.until("response.done");
    assert.equal(response.status, "completed");
    assert.deepEqual(response.metadata, { topic: "light" });
  },

  async "barge in"(connection) {
    connection.append(pcm24(TURN));
    await connection.until("response.output_text.delta");
    connection.append(pcm24("S".repeat(10)));
    const { response } = await connection.until("response.done");
    assert.equal(response.status, "cancelled");
    assert.equal(response.status_details.reason, "turn_detected");
    connection.append(pcm24(quiet(15)));
    assert.equal((await connection.finished()).status, "completed");
  },

  async "fall silent"(connection) {
    const turn_detection = { type: "server_vad", silence_duration_ms: 160, idle_timeout_ms: 5000 };
    const session = { type: "realtime", audio: { input: { turn_detection } } };
    connection.send("session.update", { session });
    let detection;
    while (detection?.idle_timeout_ms !== 5000) {
      detection = (await connection.until("session.updated")).session.audio.input.turn_detection;
    }
    connection.append(pcm24(TURN + quiet(40)));
    await connection.until("response.done");
    connection.append(pcm24(quiet(260)));
    const told = await connection.until("input_audio_buffer.timeout_triggered");
    assert.equal(told.audio_end_ms - told.audio_start_ms, 5000);
    assert.equal((await connection.finished()).status, "completed");
  },

  async "cancel"(connection) {
    connection.append(pcm24(TURN));
    await connection.until("response.output_text.delta");
    connection.send("response.cancel");
    assert.equal((await connection.until("response.output_item.done")).item.status, "incomplete");
    const { response } = await connection.until("response.done");
    assert.deepEqual(response.status_details, { type: "cancelled", reason: "client_cancelled" });
    connection.send("response.cancel", { event_id: "late" });
    assert.equal(await connection.error(), "late");
  },

  async "retrieve"(connection) {
    const items = {};
    const ids = await connection.turn();
    for (const item_id of ids) {
      connection.send("conversation.item.retrieve", { item_id });
      while (!items[item_id]) {
        const { item } = await connection.until("conversation.item.retrieved");
        items[item.id] = item; // the library asks by itself, too
      }
    }
    assert.match(items[ids[0]].content[0].transcript, /all$/);
    assert.match(items[ids[1]].content[0].text, /^I heard/);
  },

  async "truncate"(connection) {
    const [said, answer] = await connection.turn();
    const place = { content_index: 0, audio_end_ms: 0 };
    connection.send("conversation.item.truncate", { item_id: answer, ...place });
    assert.equal((await connection.until("conversation.item.truncated")).item_id, answer);
    const beyond = { item_id: answer, content_index: 0, audio_end_ms: 500, event_id: "beyond" };
    connection.send("conversation.item.truncate", beyond);
    assert.equal(await connection.error(), "beyond");
    connection.send("conversation.item.truncate", { item_id: said, ...place, event_id: "user" });
    assert.equal(await connection.error(), "user");
  },

  async "delete"(connection) {
    const [item_id] = await connection.turn();
    connection.session.updateHistory((history) => history.filter((item) => item.itemId !== item_id));
    assert.equal((await connection.until("conversation.item.deleted")).item_id, item_id);
    assert.ok(connection.session.history.every((item) => item.itemId !== item_id));
    connection.send("conversation.item.retrieve", { item_id, event_id: "gone" });
    assert.equal(await connection.error(), "gone");
  },

  async "use a tool"(connection) {
    let session = {};
    while (!session.tools?.length) ({ session } = await connection.until("session.updated"));
    connection.session.sendMessage("Switch the light on.");
    await connection.until("response.created");
    connection.append(pcm24(quiet(40)));
    const called = await connection.until("response.function_call_arguments.done");
    assert.deepEqual([called.name, called.arguments], ["switch_light", '{"on": true}']);
    const { response } = await connection.until("response.done");
    assert.deepEqual(response.output.map(({ type }) => type), ["message", "function_call"]);
    // The library runs the function itself, and asks for an answer.
    assert.equal((await connection.finished()).status, "completed");
  },

  async "ask out of band"(connection) {
    const content = [{ type: "input_text", text: "Name a colour." }];
    const input = [{ type: "message", role: "user", content }];
    connection.transport.requestResponse({ conversation: "none", input, output_modalities: ["text"] });
    const response = await connection.finished();
    assert.equal(response.status, "completed");
    assert.equal(response.conversation_id, null);
  },

  async "limit an answer"() {
    const connection = await Connection.open(options.real);
    connection.append(pcm24(quiet(10)));
    connection.transport.requestResponse({ instructions: "Be brief.", max_output_tokens: 3 });
    const { response } = await connection.until("response.done");
    assert.equal(response.status, "incomplete");
    assert.equal(response.status_details.reason, "max_output_tokens");
    assert.equal(response.usage.output_tokens, 3);
    assert.equal(response.max_output_tokens, 3);
    connection.session.close();
  },

  async "make errors"(connection) {
    connection.send("conversation.item.delete", { item_id: "nothing", event_id: "mine" });
    assert.equal(await connection.error(), "mine");
    connection.send("output_audio_buffer.clear", { event_id: "webrtc" });
    assert.equal(await connection.error(), "webrtc");
    connection.append(pcm24(TURN)); // and the session goes on
    await connection.until("response.created");
  },

  async "come back after a drop"(connection) {
    connection.append(pcm24(TURN));
    await connection.until("response.output_text.delta");
    const gone = new Promise((resolve) => connection.transport.on("disconnected", resolve));
    say({ drop: true });
    await gone;
    const again = await Connection.open(options.scripted);
    await again.until("session.created");
    again.append(pcm24(quiet(10)));
    again.session.sendMessage("Are you there?");
    assert.equal((await again.finished()).status, "completed");
    again.session.close();
  },

  async "resume after a drop"(connection) {
    const { session } = await connection.until("session.created");
    connection.append(pcm24(TURN));
    const delta = await connection.until("response.output_text.delta");
    const gone = new Promise((resolve) => connection.transport.on("disconnected", resolve));
    say({ drop: true });
    await gone;
    const after = delta.event_id.replace("event_", "");
    const again = await Connection.open(options.scripted, "none", { session_id: session.id, after });
    assert.equal((await again.until("salmonn.resumed")).audio_bytes, pcm24(TURN).byteLength);
    again.append(pcm24(quiet(40)));
    const { text } = await again.until("response.output_text.done");
    assert.ok(text.startsWith(delta.delta));
    assert.equal((await again.until("response.done")).response.status, "completed");
    again.session.close();
  },

  async "ask for extensions"(connection) {
    const salmonn = { sound_events: true, prefill: true, latency: true };
    connection.send("session.update", { session: { type: "realtime", salmonn } });
    let told = {};
    while (!told.latency) told = (await connection.until("session.updated")).session.salmonn;
    connection.append(pcm24(TURN + quiet(30)));
    for (const kind of ["sound", "prefill", "latency"]) await connection.until(`salmonn.${kind}`);
  },
};

for (const [step, take] of Object.entries(steps)) {
  complaint = null;
  let error = null;
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(reject, options.step_ms, new Error("timeout"))));
  const connection = await Connection.open(options.scripted);
  try {
    await Promise.race([take(connection), late]);
    if (complaint) throw complaint;
  } catch (thrown) {
    error = thrown.stack ?? String(thrown);
  }
  clearTimeout(timer);
  connection.session.close();
  say({ step, error });
}
say({ parsed: [...parsed], unknown: [...seen].filter((kind) => !parsed.has(kind)) });
process.exit(0);
