// OpenAI's JavaScript agents before the socket: node realtime_agents.mjs FOLDER URL TOKEN.
// FOLDER is where npm has installed them. What they did and heard is printed as one JSON document.
import { createRequire } from "node:module";

const [folder, url, token] = process.argv.slice(2);
const { RealtimeAgent, RealtimeSession, OpenAIRealtimeWebSocket } = createRequire(`${folder}/`)("@openai/agents-realtime");

const transport = new OpenAIRealtimeWebSocket({ url: `${url.replace("http", "ws")}/v1/realtime` });
const agent = new RealtimeAgent({ name: "Speaker", instructions: "Say what is written." });
const session = new RealtimeSession(agent, { transport, model: "gpt-realtime" }); // in its own settings, at first

const told = []; // types of events
const errors = [];
let waiting = [];
let audio = 0; // bytes
session.on("audio", (event) => (audio += event.data.byteLength));
session.on("error", ({ error }) => errors.push(error?.error?.code ?? String(error)));
session.on("transport_event", (event) => {
  told.push(event.type);
  waiting = waiting.filter((one) => one.type !== event.type || one.resolve(event));
});
// The next one of this type.
const next = (type) => new Promise((resolve) => waiting.push({ type, resolve }));

async function during(type, act) {
  const event = next(type);
  await act();
  return event;
}

const mebibytes = (count) => new ArrayBuffer(count << 20);
const found = {};
await during("session.updated", () => session.connect({ apiKey: token }));
await during("response.done", () => session.sendMessage("Hello."));
found.audio = audio;
const input = { turnDetection: null, transcription: { model: "whisper-1" } };
await during("session.updated", () => transport.updateSessionConfig({ audio: { input } }));
// Whatever has been transcribed is retrieved.
await during("conversation.item.retrieved", () => session.sendAudio(new ArrayBuffer(24_000), { commit: true }));
await during("conversation.item.retrieved", () => session.sendAudio(mebibytes(15), { commit: true }));
await during("error", () => transport.sendEvent({ type: "conversation.item.delete", item_id: "nobody" }));
await during("response.output_audio.delta", () => session.sendMessage("La~"));
const cutShort = next("conversation.item.retrieved");
found.interrupted = (await during("response.done", () => session.interrupt())).response;
await cutShort;
found.history = session.history;
session.close();
process.stdout.write(JSON.stringify({ ...found, told, errors }), () => process.exit());
