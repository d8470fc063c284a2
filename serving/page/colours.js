// A script in the colours of its speakers. Knows the class names of the style sheet; knows no editor.

import { element } from "./element.js";
import { piecesOf } from "./script.js";

/** Spans that read as the text, one for each piece of it. */
export function coloured(text) {
  return piecesOf(text).map(({ kind, speaker, text: words }) =>
    element("span", { className: `${kind} speaker-${speaker}` }, words),
  );
}
