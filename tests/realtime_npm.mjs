// OpenAI's own JavaScript clients before the socket: node realtime_npm.mjs FOLDER openai|agents URL TOKEN.
// FOLDER is where npm has installed them. What was heard is printed as one JSON document.
import { createRequire } from "node:module";

const [folder, client, url, token] = process.argv.slice(2);
const require = createRequire(`${folder}/`);
const patience = setTimeout(() => { console.error("nothing came"); process.exit(1); }, 30_000);

async function openai() {
  const { OpenAI } = require("openai");
  const { OpenAIRealtimeWS } = require("openai/realtime/ws");
  const socket = new OpenAIRealtimeWS({ model: "gpt-realtime" }, new OpenAI({ apiKey: token, baseURL: `${url}/v1` }));
  const heard = [];
  await new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.on("event", (event) => {
      heard.push(event);
      if (event.type === "session.created") {
        socket.send({ type: "response.create", response: { instructions: "Hello." } });
      }
      if (event.type === "response.done") resolve();
    });
  });
  socket.close();
  return heard;
}

async function agents() {
  const { RealtimeAgent, RealtimeSession, OpenAIRealtimeWebSocket } = require("@openai/agents-realtime");
  const transport = new OpenAIRealtimeWebSocket({ url: `${url.replace("http", "ws")}/v1/realtime` });
  const session = new RealtimeSession(new RealtimeAgent({ name: "Speaker", instructions: "Say it." }), {
    transport, model: "gpt-realtime",
    config: { audio: { input: { transcription: { model: "whisper-1" } }, output: { voice: "alloy" } } },
  });
  const heard = [];
  let audio = 0;
  session.on("audio", (event) => { audio += event.data.byteLength; });
  session.on("error", (event) => { heard.push({ type: "error", error: String(event.error?.error?.message ?? JSON.stringify(event.error)) }); });
  const done = new Promise((resolve) => {
    session.on("transport_event", (event) => { heard.push({ type: event.type }); if (event.type === "response.done") resolve(); });
  });
  await session.connect({ apiKey: token });
  session.sendMessage("Hello.");
  await done;
  const history = session.history.map((item) => ({ role: item.role, status: item.status, content: item.content }));
  session.close();
  return { heard, audio, history };
}

console.log(JSON.stringify(await (client === "openai" ? openai() : agents())));
clearTimeout(patience);
process.exit(0);
