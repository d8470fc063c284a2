// The page: which part hears of what. Knows every part; knows no path of the server and no field by its name.

import { Api } from "./api.js";
import { byId } from "./element.js";
import { Forms } from "./forms.js";
import { History } from "./history.js";
import { SPEECH } from "./kinds.js";
import { Memory } from "./memory.js";
import { patiently, unlessAborted } from "./patience.js";
import { Prediction } from "./prediction.js";
import { Problems } from "./problems.js";
import { Result } from "./result.js";
import { Talk } from "./talk.js";
import { Token } from "./token.js";
import { Voice } from "./voice.js";

const memory = new Memory(localStorage);
const api = new Api(new Token());
const forms = new Forms(api, new Voice(), memory);
const result = new Result(api);
const history = new History(api, ({ model }) => Boolean(forms.of(model)));
const talk = new Talk(api, memory.get("talk", "s1"));
const generateButton = byId("generate");
const cancelButton = byId("cancel");
const live = byId("live");
const settings = byId("settings");

let problems = new Problems(new Map());
let current = null; // the Prediction that is shown and followed
let asking = null; // AbortController, while a prediction is being asked for

async function begin() {
  live.checked = memory.get("live", true);
  settings.open = memory.get("settings", false);
  listen();
  try {
    forms.lay(await patiently(() => api.models(), { say }));
  } catch (error) {
    return say(`${error.message} Reload the page to try again.`);
  }
  result.offer(forms.formats);
  history.refresh();
  if (forms.of(SPEECH)) hearOfVoices();
  return resume();
}

function say(text) {
  problems.say(text);
}

/** Now, and whenever somebody comes back: voices are stored elsewhere. */
function hearOfVoices() {
  talk.refresh();
  window.addEventListener("focus", () => talk.refresh());
}

function listen() {
  byId("compose").addEventListener("submit", (event) => {
    event.preventDefault();
    generate();
  });
  cancelButton.addEventListener("click", cancel);
  byId("reset").addEventListener("click", () => forms.shown.reset());
  byId("example").addEventListener("click", () => forms.shown.begin());
  live.addEventListener("change", () => memory.set("live", live.checked));
  settings.addEventListener("toggle", () => memory.set("settings", settings.open));
  forms.addEventListener("change", ({ detail }) => problems.clear(detail));
  forms.addEventListener("turn", turned);
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

/** Another form comes: what is wrong with the one before is not wrong with it. */
function turned() {
  problems.clear();
  problems = new Problems(forms.shown.labels);
  if (forms.shown.kind.model !== SPEECH) talk.end(); // its card is gone
  actions();
}

async function generate() {
  const form = forms.shown;
  if (running() || !form.ready) return;
  const aloud = live.checked;
  if (aloud) result.player.unlock();
  problems.show(form.problems());
  if (form.problems().length) return;
  asking = new AbortController();
  const { signal } = asking;
  actions();
  try {
    const prediction = new Prediction(api, await created(form, aloud, signal));
    present(prediction, aloud && !signal.aborted);
    if (signal.aborted) cancel(); // it was cancelled while the server accepted it
  } catch (error) {
    if (error.name !== "AbortError") refuse(form, error);
  } finally {
    asking = null;
    actions();
  }
}

/** Say beside the fields of the form that asked what the server says of them. */
function refuse(form, { invalidFields = [], message }) {
  if (form !== forms.shown) forms.turn(form);
  problems.show(invalidFields, message);
}

/** Ask for a prediction → its record. */
async function created(form, aloud, signal) {
  const input = await patiently(() => unlessAborted(form.gathered(), signal), { say, signal });
  signal.throwIfAborted();
  // Only a refusal is certain to have made nothing; after any other error a second try might speak it twice.
  const passes = ({ status }) => status === 429;
  try {
    return await patiently(() => api.create(form.kind.model, input, aloud), { say, passes, signal });
  } catch (error) {
    if (error.status !== 0) throw error;
    history.refresh(); // which shows it, if it was accepted
    throw new Error(`${error.message} The server may have begun all the same: look below before you generate again.`);
  }
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
  const { model, metrics } = prediction.record;
  const invalid = metrics?.invalid_fields ?? [];
  if (invalid.length && forms.of(model) === forms.shown) problems.show(invalid);
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

/** Take over an earlier prediction's inputs, in the form of its model; asked for anew, so that its links are fresh. */
async function reuse({ id, model }) {
  try {
    const prediction = await patiently(() => api.prediction(id), { say });
    const form = forms.of(model);
    if (form !== forms.shown) forms.choose(form);
    form.reuse(prediction);
  } catch (error) {
    say(error.message);
  }
}

function running() {
  return Boolean(asking || (current && !current.ended));
}

function actions() {
  const held = document.activeElement === cancelButton;
  generateButton.ariaDisabled = String(running() || !forms.shown.ready);
  cancelButton.hidden = !running();
  if (held && !running()) generateButton.focus();
}

await begin();
