// `@openai/agents`, unmodified, over its own WebRTC in a browser. Run by `tests.others` on a page of the
// server, which has its bundle at /agents.mjs.

import { OpenAIRealtimeWebRTC, RealtimeAgent, RealtimeSession, tool } from "/agents.mjs";

const told = [];
window.told = told;

async function step(name, run) {
  let error = null;
  try {
    const late = new Promise((_, fail) => setTimeout(() => fail(new Error("too late")), 30_000));
    await Promise.race([run(), late]);
  } catch (failed) {
    error = String(failed?.error?.error?.message ?? failed?.message ?? failed).slice(0, 300);
  }
  told.push({ step: name, error });
}

const until = (what, kind, test = () => true) => new Promise((done) => {
  const take = (...given) => { if (test(...given)) { what.off(kind, take); done(given); } };
  what.on(kind, take);
});

const secret = await (await fetch("/v1/realtime/client_secrets", {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({ session: { type: "realtime", model: "gpt-realtime" } }),
})).json();

const called = [];
const light = tool({
  name: "set_light",
  description: "Switch the light.",
  parameters: { type: "object", properties: { on: { type: "boolean" } }, required: ["on"], additionalProperties: false },
  strict: true,
  execute: (given) => { called.push(given); return "done"; },
});
const agent = new RealtimeAgent({ name: "Talker", instructions: "Answer.", tools: [light] });
const baseUrl = `${location.origin}/v1/realtime/calls`;
const element = document.createElement("audio");
const transport = new OpenAIRealtimeWebRTC({ baseUrl, audioElement: element });
const session = new RealtimeSession(agent, { transport });
const errors = [];
session.on("error", (error) => errors.push(error));

await step("connect with an ephemeral key", () => session.connect({ apiKey: secret.value }));
await step("speak and hear", async () => {
  await until(transport, "*", ({ type }) => type === "input_audio_buffer.speech_started");
  await until(transport, "*", ({ type }) => type === "output_audio_buffer.started");
  if (!element.srcObject?.getAudioTracks().length) throw new Error("there is no track");
});
await step("interrupt", async () => {
  session.interrupt();
  await until(transport, "*", ({ type, response }) => type === "response.done" && response.status === "cancelled");
});
await step("use a function", async () => {
  session.sendMessage("Switch on the light.");
  while (!called.length) await new Promise((wait) => setTimeout(wait, 50));
});
await step("see the conversation", async () => {
  const kinds = new Set(session.history.map(({ type, role }) => role ?? type));
  for (const kind of ["user", "assistant", "function_call"]) if (!kinds.has(kind)) throw new Error(`no ${kind}: ${[...kinds]}`);
});
await step("make no errors", async () => { if (errors.length) throw errors[0]; });
session.close();
told.done = true;
window.done = true;
