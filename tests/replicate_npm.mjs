// Replicate's own JavaScript client against a service on localhost: node replicate_npm.mjs FOLDER URL TOKEN MODEL VERSION.
// FOLDER is where npm has installed the client. What each call gave is printed as one JSON document.
import { createRequire } from "node:module";
import { createServer } from "node:http";
import { once } from "node:events";

const [folder, url, token, model, version] = process.argv.slice(2);
const Replicate = createRequire(`${folder}/`)("replicate");
const sent = []; // [path, whether a token went with it] of every request
const listening = (target, init) => {
  const headers = new Headers(init?.headers ?? {});
  sent.push([new URL(target).pathname, headers.has("authorization")]);
  return fetch(target, init);
};
const replicate = new Replicate({ auth: token, baseUrl: `${url}/v1`, fetch: listening });
const input = { text: "[S1] Hey", seed: 1 };
const prompt = new Blob(["RIFF, or so it says"], { type: "audio/wav" });

const said = async (work) => {
  try {
    return { gave: await work() };
  } catch (error) {
    return { name: error.name, status: error.response?.status ?? null, message: error.message };
  }
};

const bytes = async (link) => (await (await fetch(link)).arrayBuffer()).byteLength;

async function stream(given) {
  const events = [];
  for await (const event of replicate.stream(model, { input: given })) events.push([event.event, event.data, event.id]);
  return events;
}

async function predictions() {
  const begun = await replicate.predictions.create({ version, input });
  const got = await replicate.predictions.get(begun.id);
  const ended = await replicate.wait(begun, { interval: 20 });
  const cancelled = await replicate.predictions.cancel(begun.id);
  const listed = await replicate.predictions.list();
  const pages = [];
  for await (const page of replicate.paginate(replicate.predictions.list)) pages.push(page.length);
  const ids = listed.results.map((prediction) => prediction.id);
  return { ids: [begun.id, got.id, ended.id, ids[0]], statuses: [ended.status, cancelled.status], pages };
}

async function progress() {
  const seen = [];
  await replicate.run(`${model}:${version}`, { input, wait: { mode: "poll", interval: 20 } }, (p) => seen.push(p.status));
  return seen;
}

async function aborted() {
  const stop = new AbortController();
  const slow = { ...input, text: "[S1] ".padEnd(400, "a ") };
  const given = { input: slow, wait: { mode: "poll", interval: 20 }, signal: stop.signal };
  let last;
  await replicate.run(model, given, (p) => {
    last = p.status;
    if (last === "processing") stop.abort();
  });
  return last;
}

async function files() {
  const file = await replicate.files.create(new File([prompt], "voice.wav", { type: "audio/wav" }), { who: "Anna" });
  const got = await replicate.files.get(file.id);
  const listed = await replicate.files.list();
  const size = await bytes(file.urls.get);
  const deleted = await replicate.files.delete(file.id);
  const gone = await said(() => replicate.files.get(file.id));
  const { name, content_type, metadata } = got;
  return { name, content_type, metadata, size, listed: listed.results.some((f) => f.id === file.id), deleted, gone };
}

// By upload. The client's other way, "data-uri", sends the client itself in the place of the input (1.4.0).
async function spoken() {
  const given = { ...input, audio_prompt: prompt, audio_prompt_text: "[S1] Or so it says." };
  return bytes(await replicate.run(model, { input: given }));
}

async function webhook() {
  const receiver = createServer();
  receiver.listen(0, "127.0.0.1");
  await once(receiver, "listening");
  const target = `http://127.0.0.1:${receiver.address().port}/`;
  const { key } = await replicate.webhooks.default.secret.get();
  await replicate.predictions.create({ version, input, webhook: target, webhook_events_filter: ["completed"] });
  const [request, response] = await once(receiver, "request");
  let body = "";
  for await (const piece of request) body += piece;
  response.end();
  receiver.close();
  const headers = request.headers;
  const isOurs = await Replicate.validateWebhook({ headers, body }, key);
  const isForged = await Replicate.validateWebhook({ headers, body: `${body} ` }, key);
  return [isOurs, isForged, JSON.parse(body).status];
}

async function models() {
  const found = await replicate.models.get("parley", "dia");
  const { results } = await replicate.models.versions.list("parley", "dia");
  const one = await replicate.models.versions.get("parley", "dia", version);
  return [found.latest_version.id, results[0].id, one.id];
}

const calls = {
  run: async () => bytes(await replicate.run(model, { input })),
  progress, stream: () => stream(input), predictions, files, spoken, webhook, models, aborted,
  refused: () => replicate.run(model, { input: { text: "[S1] Hey", cfg_scale: 9 } }),
  failed: () => replicate.run(model, { input: { text: "[S1] Hey!" } }),
  failedStream: () => stream({ text: "[S1] Hey!" }),
};
const found = {};
for (const [name, call] of Object.entries(calls)) found[name] = await said(call);
process.stdout.write(JSON.stringify({ ...found, sent }));
