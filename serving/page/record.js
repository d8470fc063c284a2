// What the record of a prediction says of it: which model, which words, whether they are kept. Knows no element.

import { SPEECH } from "./kinds.js";

/** What was to be spoken, or in words what was to be heard; "" where the server has forgotten it or nothing was said. */
export function wordsOf({ input }) {
  return input?.text ?? input?.prompt ?? "";
}

/** Whether it is a script that was spoken: other models make what is described. */
export function isSpeech({ model }) {
  return model === SPEECH;
}

/** Of a model that does not speak, its name without its owner's; "" of the one that does. */
export function otherModelOf(record) {
  return isSpeech(record) ? "" : record.model.split("/").at(-1);
}

export function isGoing({ status }) {
  return status === "starting" || status === "processing";
}
