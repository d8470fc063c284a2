// The page: which part hears of what. Knows every part; knows no path of the server and no field by its name but the
// output format.

import { Api } from "./api.js";
import { pause } from "./clock.js";
import { Controls } from "./controls.js";
import { Editor } from "./editor.js";
import { byId } from "./element.js";
import { History } from "./history.js";
import { Memory } from "./memory.js";
import { Prediction } from "./prediction.js";
import { Problems } from "./problems.js";
import { Result } from "./result.js";
import { fieldsOf } from "./schema.js";
import { Token } from "./token.js";
import { Voice } from "./voice.js";

const WIDE = matchMedia("(min-width: 60rem)");
const TRY_AGAIN = 3; // seconds between questions to a server that does not answer

const memory = new Memory(localStorage);
const api = new Api(new Token());
const editor = new Editor(memory.get("text", ""), (text) => {
  memory.set("text", text);
  problems.clear(script.name);
});
const voice = new Voice(api, memory.get("voice", null));
const result = new Result(api);
const history = new History(api);
const controls = new Controls(memory.get("values", {}), (values, changed) => {
  memory.set("values", values);
  problems.clear(changed);
});
const generateButton = byId("generate");
const cancelButton = byId("cancel");
const live = byId("live");

let script = {}; // the fields of the schema that have a place of their own
let voiceField = {};
let problems = new Problems(new Map());
let current = null; // the Prediction that is shown
let asking = null; // AbortController, while a prediction is being asked for

async function begin() {
  live.checked = memory.get("live", true);
  byId("settings").open = WIDE.matches;
  listen();
  try {
    lay(fieldsOf(await patiently(() => api.model(), (error) => error.passing)));
  } catch (error) {
    return problems.say(error.message);
  }
  actions();
  history.refresh();
  return resume();
}

/** Ask until there is an answer or an error that is not `passing`, and say meanwhile what is waited for. */
async function patiently(ask, passing, signal) {
  for (;;) {
    try {
      const answer = await ask();
      problems.say("");
      return answer;
    } catch (error) {
      if (!passing(error)) throw error;
      const wait = error.retryAfter ?? TRY_AGAIN;
      problems.say(`${error.message} Trying again in ${wait} s.`);
      await pause(1000 * wait, signal);
    }
  }
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
  result.offer(fields.find(({ name }) => name === "output_format")?.choices ?? []);
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
  voice.addEventListener("change", () => {
    memory.set("voice", voice.chosen);
    problems.clear(voiceField.name);
  });
  history.addEventListener("open", ({ detail }) => present(new Prediction(api, detail), true));
  history.addEventListener("reuse", ({ detail }) => reuse(detail));
  document.addEventListener("keydown", (event) => {
    if (event.isComposing) return; // Enter and Escape belong to the input method
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) generate();
    else if (event.key === "Escape" && running()) cancel();
    else return;
    event.preventDefault();
  });
}

async function generate() {
  if (running() || !script.name) return;
  if (live.checked) result.player.unlock();
  problems.show(controls.problems());
  if (controls.problems().length) return;
  asking = new AbortController();
  actions();
  try {
    const { signal } = asking;
    const input = await gathered();
    // Only a refusal is certain to have made nothing; after any other error a second try might speak it twice.
    const record = await patiently(() => api.create(input), (error) => error.status === 429, signal);
    const prediction = new Prediction(api, record);
    if (signal.aborted) await prediction.cancel(); // it was cancelled while the server accepted it
    present(prediction, live.checked);
  } catch (error) {
    if (error.name === "AbortError") problems.say("");
    else problems.show(error.invalidFields ?? [], error.message);
  } finally {
    asking = null;
    actions();
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
  try {
    if (!(await prediction.follow())) return; // left for another
  } catch (error) {
    result.fail(error.message);
  }
  if (memory.get("running") === prediction.id) memory.set("running", null);
  if (made) return;
  const named = problems.namedIn(prediction.record.error ?? "");
  if (named.length) problems.show(named);
  history.refresh();
}

/** Go on with the prediction that was being made when the page was left. */
async function resume() {
  const id = memory.get("running", null);
  if (!id || current) return;
  try {
    const record = await api.prediction(id);
    if (!current) present(new Prediction(api, record), false);
  } catch (error) {
    if (!error.passing) memory.set("running", null); // the server does not know it any more
  }
}

async function cancel() {
  asking?.abort();
  if (!current || current.ended) return;
  result.player.pause();
  try {
    await current.cancel();
  } catch (error) {
    result.fail(error.message);
  }
}

/** Take over an earlier prediction's inputs; asked for anew, so that its links are fresh. */
async function reuse({ id }) {
  try {
    const { input } = await api.prediction(id);
    controls.fill(input);
    voice.set(input[voiceField.name], "Voice of an earlier take");
    editor.replace(input[script.name]);
  } catch (error) {
    problems.say(error.message);
  }
}

function running() {
  return Boolean(asking || (current && !current.ended));
}

function actions() {
  const held = document.activeElement === cancelButton;
  generateButton.setAttribute("aria-disabled", String(running() || !script.name));
  cancelButton.hidden = !running();
  if (held && !running()) generateButton.focus();
}

await begin();
