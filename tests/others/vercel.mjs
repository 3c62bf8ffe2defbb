// The Vercel AI SDK, unmodified, at our plain HTTP. Run by `tests.others`: `node vercel.mjs HOST WAV`.

import { readFileSync } from "node:fs";
import { createOpenAI } from "@ai-sdk/openai";
import { experimental_generateSpeech, experimental_transcribe, generateText, streamText } from "ai";

const [host, wav] = process.argv.slice(2);
const openai = createOpenAI({ baseURL: `http://${host}/v1`, apiKey: "none" });
const chat = { model: openai.chat("gpt-4o-audio-preview"), maxOutputTokens: 8, maxRetries: 0 };
const audio = readFileSync(wav);

async function step(name, run) {
  let error = null;
  try {
    if (!(await run())) error = "nothing came";
  } catch (failed) {
    error = `${failed.name}: ${failed.message}`.slice(0, 300);
  }
  console.log(JSON.stringify({ step: name, error }));
}

await step("ask in writing", async () => (await generateText({ ...chat, prompt: "Hello?" })).text);
await step("stream an answer", async () => {
  let pieces = 0;
  for await (const _ of streamText({ ...chat, prompt: "Hello?" }).textStream) pieces++;
  return pieces > 1;
});
await step("ask about a recording", async () => {
  const content = [{ type: "text", text: "What is said?" }, { type: "file", mediaType: "audio/wav", data: audio }];
  return (await generateText({ ...chat, messages: [{ role: "user", content }] })).text;
});
await step("transcribe", async () => {
  return (await experimental_transcribe({ model: openai.transcription("whisper-1"), audio })).text;
});
await step("speak a text", async () => {
  const spoken = await experimental_generateSpeech({ model: openai.speech("tts-1"), text: "Hello.", voice: "alloy" });
  return spoken.audio.uint8Array.length > 1000;
});
await step("use the Responses API", async () => {
  return (await generateText({ model: openai("gpt-4o"), prompt: "Hello?", maxRetries: 0 })).text;
});
