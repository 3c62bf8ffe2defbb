import { Microphone, MicrophoneError } from "./microphone.js";
import { Realtime } from "./realtime.js";
import { Strip } from "./strip.js";

const $ = (id) => document.getElementById(id);
const strip = new Strip($("strip"));

const SESSION = {
  type: "realtime",
  audio: {
    input: {
      format: { type: "audio/pcm", rate: 16000 },
      transcription: { model: "whisper" },
      turn_detection: { type: "server_vad" },
    },
  },
  salmonn: { sound_events: true, latency: true, prefill: true, binary_audio: true },
};

let server, microphone, turn;
let holding = false, answering = false;
const turns = new Map(); // items of user and assistant -> their elements

// --- connecting

async function start() {
  problem();
  state("connecting", "Connecting …");
  $("start").textContent = "Stop";
  const address = `${location.protocol.replace("http", "ws")}//${location.host}/v1/realtime`;
  server = new Realtime(address, SESSION);
  server.addEventListener("open", ({ detail }) => opened(detail.resumed));
  server.addEventListener("lost", ({ detail }) => lost(detail));
  server.addEventListener("event", ({ detail }) => take(detail));
  server.connect();
}

async function opened(resumed) {
  problem();
  state("listening", resumed ? "Listening (connected again)" : "Listening");
  for (const control of document.querySelectorAll("footer :disabled")) control.disabled = false;
  if (microphone) return;
  const mine = new Microphone((piece) => { strip.level(piece); server?.audio(piece); });
  microphone = mine;
  try {
    await mine.open($("device").value);
    if (microphone !== mine) return void mine.close(); // stopped, or another one was chosen
    await listDevices();
  } catch (error) {
    if (microphone !== mine) return;
    microphone = undefined;
    problem(error instanceof MicrophoneError ? error.message : `The microphone cannot be used: ${error}`);
    state("listening", "Connected, without a microphone");
    for (const id of ["hold", "mute"]) $(id).disabled = true;
  }
}

function lost({ final, reason }) {
  if (!final) return state("lost", "Connection lost, trying again …");
  stop();
  problem(reason.includes("503") || reason === "" ? "The server is busy. Try again later." : reason);
}

function stop() {
  server?.close();
  microphone?.close();
  server = microphone = turn = undefined;
  holding = answering = false;
  $("start").textContent = "Start";
  for (const id of ["hold", "mute", "device", "question"]) $(id).disabled = true;
  $("ask").querySelector("button").disabled = true;
  state("idle", "Not connected");
}

async function listDevices() {
  const chosen = $("device").value;
  const devices = await Microphone.devices();
  $("device").replaceChildren(
    new Option("default", ""),
    ...devices.map((device) => new Option(device.label || "microphone", device.deviceId)),
  );
  $("device").value = devices.some((d) => d.deviceId === chosen) ? chosen : "";
}

// --- what the server tells

function take(event) {
  switch (event.type) {
    case "input_audio_buffer.speech_started":
      strip.speechStarted(event.audio_start_ms);
      said(event.item_id);
      return state("hearing", "Hearing you");
    case "input_audio_buffer.speech_stopped":
      strip.speechStopped(event.audio_end_ms);
      return state("listening", "Listening");
    case "input_audio_buffer.committed":
      said(event.item_id);
      return;
    case "conversation.item.input_audio_transcription.delta":
      return said(event.item_id).append(event.delta);
    case "conversation.item.input_audio_transcription.completed":
      said(event.item_id).textContent = event.transcript || "(no words)";
      return;
    case "response.created":
      answering = true;
      return state("answering", "Answering");
    case "response.output_item.added":
      return void answer(event.item.id);
    case "response.output_text.delta":
      answer(event.item_id).append(event.delta);
      return bottom();
    case "response.output_item.done":
      if (event.item.status === "incomplete") answer(event.item.id).classList.add("cut");
      return;
    case "response.done":
      answering = false;
      return state("listening", "Listening");
    case "salmonn.prefill":
      return strip.prefilled(event.audio_ms);
    case "salmonn.sound":
      strip.sound(event.audio_start_ms, event.audio_end_ms, event.name);
      return heard(event.name, event.audio_end_ms);
    case "salmonn.latency":
      return ledger(event);
    case "error":
      return problem(event.error.message);
  }
}

// --- showing

function state(name, text) {
  $("state").dataset.state = name;
  $("state").textContent = text;
}

function problem(text = "") {
  $("problem").textContent = text;
  $("problem").hidden = !text;
}

function element(kind, name, text = "") {
  const made = document.createElement(kind);
  made.className = name;
  made.textContent = text;
  return made;
}

function newTurn() {
  $("empty")?.remove();
  turn = element("article", "turn");
  $("talk").append(turn);
  return turn;
}

function said(id) {
  let bubble = turns.get(id);
  if (!bubble) {
    bubble = element("p", "you");
    bubble.setAttribute("aria-label", "You");
    turns.set(id, bubble);
    newTurn().append(bubble);
    bottom();
  }
  return bubble;
}

function answer(id) {
  let bubble = turns.get(id);
  if (!bubble) {
    bubble = element("p", "they");
    bubble.setAttribute("aria-label", "Answer");
    turns.set(id, bubble);
    (turn ?? newTurn()).append(bubble);
    bottom();
  }
  return bubble;
}

function heard(name, ms) {
  $("empty")?.remove();
  const line = element("p", "heard", `♪ ${name}`);
  line.title = `heard at ${(ms / 1000).toFixed(1)} s`;
  $("talk").append(line);
  bottom();
}

function ledger(event) {
  const parts = [
    ["waited", "silence waited for", event.endpoint_wait_ms],
    ["encode", "encoding", event.encode_ms + event.backlog_ms],
    ["prefill", "prefill", event.prefill_ms],
    ["token", "first text", event.first_token_ms],
  ];
  const total = parts.reduce((sum, [, , ms]) => sum + ms, 0) || 1;
  const figure = element("figure", "ledger");
  const bar = element("div", "bar");
  for (const [name, told, ms] of parts) {
    const piece = element("span", name);
    piece.style.width = `${(100 * ms) / total}%`;
    piece.title = `${told}: ${ms.toFixed(0)} ms`;
    bar.append(piece);
  }
  const text = `${event.endpoint_wait_ms.toFixed(0)} ms of silence waited for, then ` +
    `${event.compute_ms.toFixed(0)} ms to the first text · ` +
    `${event.prefilled_before_end} of ${event.windows} windows were heard before you stopped`;
  figure.append(bar, element("figcaption", "", text));
  (turn ?? newTurn()).append(figure);
  bottom();
}

function bottom() {
  const view = $("talk");
  view.scrollTop = view.scrollHeight;
}

// --- controls

$("start").onclick = () => (server ? stop() : start());
$("mute").onclick = () => {
  microphone.muted = !microphone.muted;
  $("mute").setAttribute("aria-pressed", microphone.muted);
  $("mute").textContent = microphone.muted ? "Unmute" : "Mute";
};
$("device").onchange = async () => {
  const muted = microphone?.muted ?? false;
  await microphone?.close();
  microphone = undefined;
  await opened(false);
  if (microphone) microphone.muted = muted;
};
$("ask").onsubmit = (event) => {
  event.preventDefault();
  const text = $("question").value.trim();
  if (!text || !server) return;
  const bubble = element("p", "you", text);
  newTurn().append(bubble);
  const content = [{ type: "input_text", text }];
  server.send({ type: "conversation.item.create", item: { type: "message", role: "user", content } });
  server.send({ type: "response.create" });
  $("question").value = "";
};

function detection(value) {
  server.send({
    type: "session.update",
    session: { type: "realtime", audio: { input: { turn_detection: value } } },
  });
}

function press() {
  if (holding || !microphone) return;
  holding = true;
  $("hold").classList.add("held");
  if (answering) server.send({ type: "response.cancel" });
  detection(null);
  server.send({ type: "input_audio_buffer.clear" });
  state("hearing", "Hearing you");
}

function release() {
  if (!holding) return;
  holding = false;
  $("hold").classList.remove("held");
  server.send({ type: "input_audio_buffer.commit" });
  server.send({ type: "response.create" });
  detection({ type: "server_vad" });
}

$("hold").onpointerdown = press;
for (const name of ["pointerup", "pointerleave", "pointercancel"]) $("hold").addEventListener(name, release);
const typing = () => ["INPUT", "SELECT", "BUTTON"].includes(document.activeElement?.tagName);
addEventListener("keydown", (event) => {
  if (event.code === "Space" && !event.repeat && (!typing() || document.activeElement === $("hold"))) {
    event.preventDefault();
    press();
  }
});
addEventListener("keyup", (event) => { if (event.code === "Space") release(); });

// For tests.
window.salmonn = { drop: () => server?.drop() };
