import { Conversation } from "./conversation.js";
import { Microphone, MicrophoneError } from "./microphone.js";
import { Realtime } from "./realtime.js";
import { Strip } from "./strip.js";

const $ = (id) => document.getElementById(id);
const strip = new Strip($("strip"));
const conversation = new Conversation($("talk"), $("announce"));

const VOICE = { type: "server_vad" };
const SESSION = {
  type: "realtime",
  audio: {
    input: {
      format: { type: "audio/pcm", rate: 16000 },
      transcription: { model: "whisper" },
      turn_detection: VOICE,
    },
  },
  salmonn: { sound_events: true, latency: true, prefill: true, binary_audio: true },
};

const UNDERSTANDABLE = {
  nothing_to_do: "Nothing was heard that could be answered.",
  input_audio_buffer_commit_empty: "Nothing was heard that could be answered.",
  response_cancel_not_active: "", // the answer ended by itself in the meantime
};

let server, microphone;
let link = "off"; // connecting, asking (for the microphone), on, lost or busy
let hearing; // item of the utterance that goes on
let asked; // typed, the last one that was sent
let answering = false, holding = false, muted = false;
let questions = []; // typed, and to be asked after the answer that is given now

// --- what is going on

function state() {
  switch (true) {
    case link === "off": return ["idle", "Not connected"];
    case link === "connecting": return ["connecting", "Connecting …"];
    case link === "asking": return ["connecting", "Allow the microphone …"];
    case link === "busy": return ["lost", "Server busy, waiting …"];
    case link === "lost": return ["lost", "Connection lost, trying again …"];
    case holding: return ["hearing", "Hearing you"];
    case answering: return ["answering", "Answering"];
    case hearing !== undefined: return ["hearing", "Hearing you"];
    case !microphone: return ["listening", "No microphone"];
    case muted: return ["idle", "Muted"];
    default: return ["listening", "Listening"];
  }
}

function show() {
  const [name, text] = state();
  $("state").dataset.state = name;
  $("state").textContent = text;
  const off = link === "off";
  label("start", off ? "Start" : "Stop", off ? "microphone" : "stop");
  $("start").toggleAttribute("data-on", Boolean(microphone) && !off);
  const usable = !["off", "connecting", "busy"].includes(link);
  $("hold").disabled = $("mute").disabled = !(usable && microphone);
  $("device").disabled = $("question").disabled = !usable;
  $("ask").querySelector("button").disabled = !usable;
  $("hold").setAttribute("aria-pressed", holding);
  $("mute").setAttribute("aria-pressed", muted);
  if (microphone) microphone.muted = muted && !holding;
}

function label(id, text, icon) {
  $(id).querySelector("span").textContent = text;
  $(id).querySelector("use").setAttribute("href", `#icon-${icon}`);
}

function problem(text = "") {
  $("problem").textContent = text;
  $("problem").hidden = !text;
}

// --- connecting

function start() {
  problem();
  $("access").hidden = true;
  link = "connecting";
  const address = `${location.protocol.replace("http", "ws")}//${location.host}/v1/realtime`;
  server = new Realtime(address, SESSION, sessionStorage.getItem("token"));
  server.addEventListener("open", ({ detail }) => opened(detail));
  server.addEventListener("lost", ({ detail }) => lost(detail));
  server.addEventListener("event", ({ detail }) => take(detail));
  server.connect();
  show();
}

function opened({ resumed, missing }) {
  problem();
  const again = link === "lost";
  strip.offline(false);
  strip.skip(missing);
  if (resumed) {
    const seconds = (missing / 32000).toFixed(0);
    conversation.note(missing ? `Connected again; ${seconds} s of sound were not heard.` : "Connected again, nothing was lost.");
  } else {
    strip.begin();
    hearing = undefined;
    answering = false;
    questions = [];
    link = "on";
    show();
    if (holding) press(true);
    conversation.note(again ? "A new session: what was heard before is forgotten." : "Connected.");
  }
  link = "on";
  show();
  if (!microphone) listen();
}

async function listen() {
  link = "asking";
  const mine = new Microphone(heard, () => lostMicrophone(mine));
  microphone = mine;
  show();
  try {
    await mine.open($("device").value);
    if (microphone !== mine) return void mine.close(); // stopped, or another one was chosen
    await listDevices();
  } catch (error) {
    if (microphone !== mine) return;
    microphone = undefined;
    const told = error instanceof MicrophoneError ? error.message : `The microphone cannot be used: ${error}`;
    problem(told);
  }
  if (link === "asking") link = "on";
  show();
}

function heard(piece) {
  const level = strip.level(piece);
  $("start").style.setProperty("--level", Math.sqrt(level).toFixed(2));
  server?.audio(piece);
}

function lostMicrophone(which) {
  if (microphone !== which) return;
  release();
  microphone.close();
  microphone = undefined;
  problem("The microphone was unplugged. Choose another one.");
  show();
}

function lost({ final, busy, token, reason }) {
  if (final) {
    stop();
    $("access").hidden = !token;
    if (token) $("token").focus();
    return problem(token && !sessionStorage.getItem("token") ? "This server asks for a token." : reason);
  }
  if (link !== "lost" && !busy) conversation.say("Connection lost.");
  link = busy ? "busy" : "lost";
  if (reason) problem(busy ? `${reason.replace(/[;.].*/, "")}. This page keeps trying.` : reason);
  strip.offline(!busy);
  show();
}

function stop() {
  server?.close();
  microphone?.close();
  if (hearing) conversation.unspoken(hearing);
  strip.offline(false);
  strip.begin();
  server = microphone = hearing = undefined;
  answering = holding = muted = false;
  questions = [];
  link = "off";
  show();
}

async function listDevices() {
  const chosen = $("device").value;
  const devices = await Microphone.devices();
  $("device").replaceChildren(
    new Option("Default", ""),
    ...devices
      .filter(({ deviceId }) => deviceId !== "default")
      .map((device) => new Option(device.label || "microphone", device.deviceId)),
  );
  $("device").value = devices.some((d) => d.deviceId === chosen) ? chosen : "";
}

// --- what the server tells

function take(event) {
  switch (event.type) {
    case "session.created":
      $("model").textContent = event.session.model;
      $("model").hidden = false;
      break;
    case "input_audio_buffer.speech_started":
      problem();
      hearing = event.item_id;
      strip.speechStarted(event.audio_start_ms);
      if (!answering) conversation.spoken(hearing);
      break;
    case "input_audio_buffer.speech_stopped":
      strip.speechStopped(event.audio_end_ms);
      hearing = undefined;
      if (answering) conversation.unspoken(event.item_id);
      break;
    case "input_audio_buffer.committed":
      conversation.spoken(event.item_id);
      break;
    case "conversation.item.input_audio_transcription.delta":
      conversation.caption(event.item_id, event.delta);
      break;
    case "conversation.item.input_audio_transcription.completed":
      conversation.captionDone(event.item_id, event.transcript);
      break;
    case "response.created":
      answering = true;
      conversation.answers(event.response.metadata?.turn);
      break;
    case "response.output_item.added":
      conversation.answer(event.item.id);
      break;
    case "response.output_text.delta":
      conversation.answerDelta(event.item_id, event.delta);
      break;
    case "response.output_item.done":
      conversation.answerDone(event.item.id, event.item.status === "incomplete");
      break;
    case "response.done":
      answering = false;
      strip.answered();
      if (hearing) conversation.spoken(hearing); // what interrupted is a turn now
      if (questions.length) put(questions.shift());
      break;
    case "salmonn.prefill":
      strip.prefilled(event.audio_ms, event.audio_tokens);
      break;
    case "salmonn.sound":
      strip.sound(event.audio_start_ms, event.audio_end_ms, event.name);
      conversation.sound(event.name);
      break;
    case "salmonn.latency":
      conversation.ledger(event);
      break;
    case "error":
      if (tooEarly(event.error)) break;
      problem(UNDERSTANDABLE[event.error.code] ?? event.error.message);
      break;
  }
  show();
}

// --- what the user does

function detection(value) {
  const audio = { input: { turn_detection: value } };
  server.send({ type: "session.update", session: { type: "realtime", audio } });
}

function press(again = false) {
  if ((holding && !again) || $("hold").disabled) return;
  problem();
  if (hearing) {
    strip.speechStopped();
    conversation.unspoken(hearing);
    hearing = undefined;
  }
  holding = true;
  if (answering) server.send({ type: "response.cancel" });
  detection(null);
  server.send({ type: "input_audio_buffer.clear" });
  if (!again) strip.speechStarted();
  show();
}

function release() {
  if (!holding) return;
  holding = false;
  strip.speechStopped();
  server.send({ type: "input_audio_buffer.commit" });
  server.send({ type: "response.create" });
  detection(VOICE);
  show();
}

function mute() {
  if ($("mute").disabled) return;
  muted = !muted;
  conversation.say(muted ? "Muted" : "Not muted");
  show();
}

/** Ask a typed question; its turn's number tells which answer is its. */
function put({ turn, text, item = true }) {
  const content = [{ type: "input_text", text }];
  if (item) server.send({ type: "conversation.item.create", item: { type: "message", role: "user", content } });
  asked = { turn, text, item: false };
  server.send({ type: "response.create", event_id: `ask_${turn}`, response: { metadata: { turn } } });
}

/** Whether a question met an answer that began at the same time: it is asked after it. */
function tooEarly({ code, event_id }) {
  if (code !== "conversation_already_has_active_response" || event_id !== `ask_${asked?.turn}`) return false;
  questions.unshift(asked);
  return true;
}

$("start").onclick = () => (server ? stop() : start());
$("mute").onclick = mute;
$("device").onchange = async () => {
  const before = microphone;
  microphone = undefined;
  await before?.close();
  if (server) await listen();
};
navigator.mediaDevices?.addEventListener("devicechange", () => { if (microphone) listDevices(); });
$("ask").onsubmit = (event) => {
  event.preventDefault();
  const text = $("question").value.trim();
  if (!text || !server) return;
  problem();
  const question = { turn: conversation.typed(text), text };
  if (answering) questions.push(question);
  else put(question);
  answering = true;
  $("question").value = "";
  show();
};
$("access").onsubmit = (event) => {
  event.preventDefault();
  const token = $("token").value;
  if (!/^[\w!#$%&'*+.^`|~-]+$/.test(token)) {
    return problem("A browser can send only letters, digits and !#$%&'*+-.^_`|~ as a token.");
  }
  sessionStorage.setItem("token", token);
  start();
};

const hold = $("hold");
hold.onpointerdown = (event) => {
  if (event.button !== 0) return;
  hold.setPointerCapture(event.pointerId);
  press();
};
hold.onpointerup = hold.onpointercancel = release;
hold.oncontextmenu = (event) => event.preventDefault();
// a click without a pointer comes of assistive technology, which cannot hold
hold.onclick = (event) => { if (event.detail === 0) (holding ? release : press)(); };
addEventListener("blur", release);

const busyWithKeys = () => document.activeElement?.closest("input, select, button:not(#hold)");
addEventListener("keydown", (event) => {
  if (busyWithKeys() || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.code === "Space" || (event.code === "Enter" && document.activeElement === hold)) {
    event.preventDefault();
    if (!event.repeat) press();
  } else if (event.key.toLowerCase() === "m" && !event.repeat) {
    mute();
  }
});
addEventListener("keyup", (event) => {
  if (event.code !== "Space" && event.code !== "Enter") return;
  if (document.activeElement === hold) event.preventDefault();
  release();
});
// after a click with the mouse, keys are for talking again
for (const button of document.querySelectorAll("footer .controls button")) {
  button.addEventListener("click", (event) => { if (event.detail > 0) button.blur(); });
}

// For tests.
window.salmonn = { drop: () => server?.drop() };
show();
