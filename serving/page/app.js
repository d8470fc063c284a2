// The page: which part hears of what. Knows every part; knows no path of the server and no field by its name but the
// output format.

import { Api } from "./api.js";
import { Controls } from "./controls.js";
import { Editor } from "./editor.js";
import { byId } from "./element.js";
import { History } from "./history.js";
import { Memory } from "./memory.js";
import { patiently, unlessAborted } from "./patience.js";
import { Prediction } from "./prediction.js";
import { Problems } from "./problems.js";
import { Result } from "./result.js";
import { fieldsOf } from "./schema.js";
import { Talk } from "./talk.js";
import { Token } from "./token.js";
import { Voice } from "./voice.js";

const memory = new Memory(localStorage);
const api = new Api(new Token());
const editor = new Editor(memory.get("text", ""), (text) => {
  memory.set("text", text);
  problems.clear(script.name);
});
const voice = new Voice(api, memory.get("voice", null));
const result = new Result(api);
const history = new History(api);
const talk = new Talk(api, memory.get("talk", "s1"));
const controls = new Controls(memory.get("values", {}), (values, changed) => {
  memory.set("values", values);
  problems.clear(changed);
  countChanged(values);
});
const generateButton = byId("generate");
const cancelButton = byId("cancel");
const live = byId("live");
const settings = byId("settings");

let script = {}; // the fields of the schema that have a place of their own
let voiceField = {};
let problems = new Problems(new Map());
let current = null; // the Prediction that is shown and followed
let asking = null; // AbortController, while a prediction is being asked for

async function begin() {
  live.checked = memory.get("live", true);
  settings.open = memory.get("settings", false);
  listen();
  try {
    lay(fieldsOf(await patiently(() => api.model(), { say })));
  } catch (error) {
    return say(`${error.message} Reload the page to try again.`);
  }
  actions();
  history.refresh();
  talk.refresh();
  window.addEventListener("focus", () => talk.refresh()); // voices are stored elsewhere
  return resume();
}

function say(text) {
  problems.say(text);
}

/** Give every field of the schema its place. */
function lay(fields) {
  problems = new Problems(new Map(fields.map(({ name, label }) => [name, label])));
  for (const field of fields) {
    if (field.kind === "script") script = settle(field, byId("script"));
    else if (field.kind === "voice") voiceField = settle(field, byId("voice"));
    else controls.add(field, byId(isOfVoice(field) ? "voice-words" : "fields"));
  }
  byId("voice-card").hidden = !voiceField.name;
  countChanged(controls.saved);
  result.offer(fields.find(({ name }) => name === "output_format")?.choices ?? []);
}

/** values: those that are not the default. */
function countChanged(values) {
  const { length } = Object.keys(values).filter((name) => !isOfVoice({ name }));
  byId("changed").textContent = length ? `${length} changed` : "";
}

function isOfVoice({ name }) {
  return Boolean(voiceField.name) && name.includes(voiceField.name);
}

/** A field whose element is in the page already. */
function settle(field, place) {
  place.dataset.field = field.name;
  place.querySelector("p.help").textContent = field.description;
  return field;
}

function listen() {
  byId("compose").addEventListener("submit", (event) => {
    event.preventDefault();
    generate();
  });
  cancelButton.addEventListener("click", cancel);
  byId("reset").addEventListener("click", () => controls.reset());
  live.addEventListener("change", () => memory.set("live", live.checked));
  settings.addEventListener("toggle", () => memory.set("settings", settings.open));
  voice.addEventListener("change", () => {
    memory.set("voice", voice.chosen);
    problems.clear(voiceField.name);
  });
  talk.addEventListener("begin", () => result.player.pause());
  talk.addEventListener("choose", () => memory.set("talk", talk.voice));
  window.addEventListener("pagehide", () => talk.end());
  history.addEventListener("open", ({ detail }) => present(new Prediction(api, detail), true));
  history.addEventListener("reuse", ({ detail }) => reuse(detail));
  document.addEventListener("keydown", (event) => {
    if (event.isComposing) return; // Enter and Escape belong to the input method
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) generate();
    else if (event.key === "Escape" && talk.busy) talk.cancel();
    else if (event.key === "Escape" && running()) cancel();
    else return;
    event.preventDefault();
  });
}

async function generate() {
  if (running() || !script.name) return;
  const aloud = live.checked;
  if (aloud) result.player.unlock();
  problems.show(controls.problems());
  if (controls.problems().length) return;
  asking = new AbortController();
  const { signal } = asking;
  actions();
  try {
    const prediction = new Prediction(api, await created(aloud, signal));
    present(prediction, aloud && !signal.aborted);
    if (signal.aborted) cancel(); // it was cancelled while the server accepted it
  } catch (error) {
    if (error.name !== "AbortError") problems.show(error.invalidFields ?? [], error.message);
  } finally {
    asking = null;
    actions();
  }
}

/** Ask for a prediction → its record. */
async function created(aloud, signal) {
  const input = await patiently(() => unlessAborted(gathered(), signal), { say, signal });
  signal.throwIfAborted();
  // Only a refusal is certain to have made nothing; after any other error a second try might speak it twice.
  const passes = ({ status }) => status === 429;
  try {
    return await patiently(() => api.create(input, aloud), { say, passes, signal });
  } catch (error) {
    if (error.status !== 0) throw error;
    history.refresh(); // which shows it, if it was accepted
    throw new Error(`${error.message} The server may have begun all the same: look below before you generate again.`);
  }
}

async function gathered() {
  const url = await voice.url();
  const values = Object.entries(controls.values());
  const input = Object.fromEntries(values.filter(([name]) => url || !isOfVoice({ name })));
  return { [script.name]: editor.value, ...input, ...(url && { [voiceField.name]: url }) };
}

/** Show a prediction, follow it to its end, and listen to it if asked. */
async function present(prediction, aloud) {
  current = prediction;
  result.show(prediction);
  if (aloud) result.player.play();
  const moved = () => {
    actions();
    history.update(prediction.record);
  };
  prediction.addEventListener("change", moved);
  moved();
  byId("result").scrollIntoView({ block: "nearest" });
  const made = prediction.ended;
  if (!made) memory.set("running", prediction.id);
  if (!(await followed(prediction))) return;
  if (memory.get("running") === prediction.id) memory.set("running", null);
  if (made) return;
  const invalid = prediction.record.metrics?.invalid_fields ?? [];
  if (invalid.length) problems.show(invalid);
  history.refresh();
}

/** Whether there is no more to follow: false where it was left for another, or goes on out of this page's sight. */
async function followed(prediction) {
  try {
    return await prediction.follow();
  } catch (error) {
    result.fail(error.message);
    current = null; // so that another can be asked for
    actions();
    return prediction.ended || !error.passing;
  }
}

/** Go on with the prediction that a link names, or that was being made when the page was left. */
async function resume() {
  const linked = new URLSearchParams(location.search).get("prediction");
  const id = linked ?? memory.get("running", null);
  if (!id) return;
  if (linked) window.history.replaceState(null, "", location.pathname); // a reload shows what is newer
  try {
    const passes = ({ passing }) => passing && !running();
    const record = await patiently(() => api.prediction(id), { say, passes });
    if (!current) present(new Prediction(api, record), false);
  } catch (error) {
    if (!error.passing) memory.set("running", null); // the server does not know it any more
    if (linked) say(error.message);
  }
}

async function cancel() {
  asking?.abort();
  if (!current || current.ended) return;
  result.player.pause();
  try {
    await current.cancel();
  } catch (error) {
    if (error.name !== "AbortError") result.fail(error.message);
  }
}

/** Take over an earlier prediction's inputs; asked for anew, so that its links are fresh. */
async function reuse({ id }) {
  try {
    const prediction = await patiently(() => api.prediction(id), { say });
    const { input } = prediction;
    controls.fill(input);
    voice.reuse(input[voiceField.name] ?? null, prediction);
    editor.replace(input[script.name]);
  } catch (error) {
    say(error.message);
  }
}

function running() {
  return Boolean(asking || (current && !current.ended));
}

function actions() {
  const held = document.activeElement === cancelButton;
  generateButton.ariaDisabled = String(running() || !script.name);
  cancelButton.hidden = !running();
  if (held && !running()) generateButton.focus();
}

await begin();
