// OpenAI's own JavaScript client in an exchange over TLS: node realtime_npm.mjs FOLDER URL TOKEN EXCHANGE.
// FOLDER is where npm has installed the client, EXCHANGE a file. Every event that it is told is printed, one a line.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [folder, url, token, exchange] = process.argv.slice(2);
const load = createRequire(`${folder}/`);
const OpenAI = load("openai").default;
const { OpenAIRealtimeWS } = load("openai/realtime/ws");

const client = new OpenAI({ apiKey: token, baseURL: `${url}/v1` });
const realtime = new OpenAIRealtimeWS({ model: "gpt-realtime" }, client);
const told = [];
let wake = () => {};
realtime.on("event", (event) => {
  process.stdout.write(`${JSON.stringify(event)}\n`);
  told.push(event.type);
  wake();
});
// Without a listener of its own an error would end the process; those of the socket itself are no events.
realtime.on("error", (error) => {
  if (error.error === undefined) throw error;
});

for (const line of readFileSync(exchange, "utf8").trimEnd().split("\n")) {
  const said = line.slice(2);
  if (line.startsWith(">")) {
    realtime.send(JSON.parse(said));
    continue;
  }
  do {
    while (told.length === 0) await new Promise((resolve) => (wake = resolve));
  } while (told.shift() !== said);
}
realtime.close();
await once(realtime.socket, "close");
