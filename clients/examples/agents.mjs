// @openai/agents: npm install @openai/agents; salmonn-live serve; node agents.mjs talk.pcm (24 kHz PCM16)
import { readFileSync } from "node:fs";
import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession } from "@openai/agents/realtime";

const transport = new OpenAIRealtimeWebSocket({ url: "ws://127.0.0.1:8765/v1/realtime" });
const session = new RealtimeSession(new RealtimeAgent({ name: "nano" }), { transport, config: { outputModalities: ["text"] } });
transport.on("*", (event) => {
  if (event.type === "response.output_text.delta") process.stdout.write(event.delta);
  if (event.type === "response.done") session.close();
});
await session.connect({ apiKey: "none" });
const pcm = Buffer.concat([readFileSync(process.argv[2]), Buffer.alloc(48_000)]);
session.sendAudio(new Uint8Array(pcm).buffer);
