import { Conversation } from "./conversation.js";
import { bindKeys } from "./keys.js";
import { Microphone, MicrophoneError } from "./microphone.js";
import { Questions } from "./questions.js";
import { soon, understandable } from "./sentences.js";
import { state } from "./state.js";
import { Strip } from "./strip.js";
import { Voice } from "./voice.js";
import { Way } from "./way.js";

const $ = (id) => document.getElementById(id);
const strip = new Strip($("strip"));
const conversation = new Conversation($("talk"), $("announce"));

const DETECTION = { type: "semantic_vad" };
const SESSION = {
  type: "realtime",
  audio: {
    input: {
      format: { type: "audio/pcm", rate: 16000 },
      transcription: { model: "whisper" },
      turn_detection: DETECTION,
    },
  },
  salmonn: { sound_events: true, latency: true, prefill: true, notices: true, wake: true, binary_audio: true },
};

let server, microphone;
let link = "off"; // connecting, asking (for the microphone), on, lost or busy
let hearing; // item of the utterance that goes on
let asleep; // what has to be said before anybody is listened to
let questions = newQuestions();
let holding = false, muted = false;
const voice = new Voice();
const way = new Way($("way"), () => { if (server) { stop(); start(); } });

// --- what is going on

function show() {
  const [name, text] = state({ link, holding, hearing, questions, microphone, muted, asleep });
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
  $("voice").hidden = !voice.there;
  $("voice").setAttribute("aria-pressed", voice.on);
  if (microphone) microphone.muted = muted && !holding;
  tellWaiting();
}

/** Questions that wait for something say for what. */
function tellWaiting() {
  const speaking = holding || hearing !== undefined;
  if (!speaking && questions.given === undefined) return;
  const why = speaking ? "until you have finished" : "until this answer is complete";
  for (const turn of questions.waiting) conversation.waits(turn, `Your question waits ${why}.`);
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
  server = way.session(address, { ...SESSION, ...voice.settings }, sessionStorage.getItem("token"));
  server.addEventListener("track", ({ detail }) => voice.speaker.attach(detail));
  server.addEventListener("open", ({ detail }) => opened(detail));
  server.addEventListener("lost", ({ detail }) => lost(detail));
  server.addEventListener("event", ({ detail }) => take(detail));
  server.connect();
  show();
}

function opened({ resumed, missing, again, settings }) {
  problem();
  if (settings) voice.welcome(settings);
  strip.offline(false);
  strip.skip(missing);
  if (resumed) {
    const seconds = (missing / 32000).toFixed(0);
    conversation.note(missing ? `Connected again; ${seconds} s of sound were not heard.` : "Connected again, nothing was lost.");
  } else {
    strip.begin();
    forget();
    link = "on";
    show();
    if (again) configure(voice.settings);
    if (holding) press(true);
    conversation.note(again ? "A new session: what was heard before is forgotten." : `Connected over ${way.name}.`);
  }
  link = "on";
  show();
  if (!microphone) listen();
}

async function listen() {
  link = "asking";
  const mine = new Microphone(heard, () => lostMicrophone(mine), () => pausedMicrophone(mine));
  microphone = mine;
  show();
  try {
    await mine.open($("device").value, voice.sounds);
    if (microphone !== mine) return void mine.close(); // stopped, or another one was chosen
    server.hear(mine.track);
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

function pausedMicrophone(which) {
  if (microphone !== which) return;
  conversation.note(which.paused ? "The microphone is paused." : "The microphone is back.");
  show();
}

/** There is no WebRTC here: go on over a socket. */
function instead(reason) {
  conversation.note(`No WebRTC: ${reason}`);
  stop();
  way.instead();
  start();
}

function lost({ final, busy, token, reason, unavailable }) {
  if (unavailable) return instead(reason);
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
  voice.close();
  microphone?.close();
  strip.offline(false);
  strip.begin();
  forget();
  server = microphone = undefined;
  holding = muted = false;
  link = "off";
  show();
}

/** What the session knew is forgotten, questions that wait as well. */
function forget() {
  conversation.over();
  voice.forget();
  hearing = asleep = undefined;
  questions = newQuestions();
}

function newQuestions() { return new Questions((event) => server.send(event)); }

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
      voice.speaker.duck(true);
      strip.speechStarted(event.audio_start_ms);
      if (questions.given === undefined) conversation.spoken(hearing);
      break;
    case "input_audio_buffer.speech_stopped":
      voice.speaker.duck(false);
      if (questions.given !== undefined) conversation.unspoken(event.item_id);
      if (event.item_id !== hearing) break; // it ended when the button was pressed
      strip.speechStopped(event.audio_end_ms);
      hearing = undefined;
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
      questions.created(event.response, conversation.said);
      break;
    case "response.output_item.added":
      conversation.answer(event.item.id, questions.begun(event.response_id));
      break;
    case "output_audio_buffer.started":
    case "output_audio_buffer.stopped":
    case "output_audio_buffer.cleared":
      voice.speaker.sounds(event.type.endsWith("started"));
      break;
    case "response.output_audio.delta":
      voice.play(event);
      break;
    case "response.output_audio_transcript.delta": // comes with the audio: what is shown is being said
    case "response.output_text.delta":
      conversation.answerDelta(event.item_id, event.delta);
      break;
    case "response.output_item.done":
      if (event.item.status === "incomplete") voice.cut(event.item.id, (told) => server.send(told));
      conversation.answerDone(event.item.id, event.item.status === "incomplete");
      break;
    case "response.done": {
      const given = event.response.id === questions.given;
      conversation.settled(questions.done(event.response));
      if (!given) break; // it waited
      strip.answered();
      if (hearing) conversation.spoken(hearing); // what interrupted is a turn now
      break;
    }
    case "salmonn.prefill":
      strip.prefilled(event.audio_ms, event.audio_tokens);
      break;
    case "salmonn.sound":
      strip.sound(event.audio_start_ms, event.audio_end_ms, event.name);
      conversation.sound(event.name);
      break;
    case "salmonn.notice":
      conversation.notice(event.notice, event.name);
      if (event.notice !== "watch") voice.speaker.ring();
      break;
    case "salmonn.wake":
      asleep = event.phrase ?? undefined;
      conversation.say(asleep ? `Asleep: say “${asleep}”` : "Awake");
      break;
    case "salmonn.latency":
      conversation.ledger(event);
      break;
    case "salmonn.session_expires":
      conversation.note(`This session ends in ${soon(event.seconds_left)}; a new one begins then.`);
      break;
    case "error":
      if (questions.refused(event.error)) break;
      problem(understandable(event.error));
      break;
  }
  show();
}

// --- what the user does

function configure(settings) { server.send({ type: "session.update", session: { type: "realtime", ...settings } }); }

function detection(value) { configure({ audio: { input: { turn_detection: value } } }); }

function toggleVoice() {
  voice.toggle();
  conversation.say(voice.on ? "Answers are spoken" : "Answers are text");
  configure(voice.settings);
  server.silence();
  show();
  if (microphone) another(); // with another echo canceller
}

function press(again = false) {
  if ((holding && !again) || $("hold").disabled) return;
  problem();
  if (hearing) strip.speechStopped(); // and the server ends it: it belongs to what is said now
  hearing = undefined;
  holding = true;
  questions.hold();
  detection(null);
  if (!again) strip.speechStarted();
  show();
}

function release() {
  if (!holding) return;
  holding = false;
  strip.speechStopped();
  server.send({ type: "input_audio_buffer.commit" });
  questions.release();
  detection(DETECTION);
  show();
}

function mute() {
  if ($("mute").disabled) return;
  muted = !muted;
  conversation.say(muted ? "Muted" : "Not muted");
  show();
}

$("start").onclick = () => (server ? stop() : start());
$("mute").onclick = mute;
$("voice").onclick = toggleVoice;
$("device").onchange = another;
async function another() {
  const before = microphone;
  microphone = undefined;
  await before?.close();
  if (server) await listen();
}
navigator.mediaDevices?.addEventListener("devicechange", () => { if (microphone) listDevices(); });
$("ask").onsubmit = (event) => {
  event.preventDefault();
  const text = $("question").value.trim();
  if (!text || !server) return;
  problem();
  questions.ask(conversation.typed(text), text);
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

bindKeys($("hold"), { press, release, mute, held: () => holding });
// after a click with the mouse, keys are for talking again
for (const button of document.querySelectorAll("footer .controls button")) {
  button.addEventListener("click", (event) => { if (event.detail > 0) button.blur(); });
}

// For tests.
window.salmonn = { drop: () => server?.drop(), speaker: voice.speaker };
show();
