// A script as text: who speaks which part of it, and how a mark is put into it. Knows no element of the page.

/** The sounds that Dia makes where they stand in parentheses. */
export const CUES = [
  ...["laughs", "chuckle", "sighs", "gasps", "inhales", "exhales", "sniffs", "coughs", "clears throat", "sneezes"],
  ...["mumbles", "groans", "screams", "burps", "humming", "singing", "sings", "whistles", "claps", "applause", "beep"],
];
const KNOWN = new Set(CUES);
const MARK = /\[S([12])\]|\(([^()\n]*)\)/gi;

/** The whole text in pieces [{kind: words|tag|cue|aside, speaker: 0|1|2, text}]; speaker 0 is before the first tag. */
export function piecesOf(text) {
  const pieces = [];
  let speaker = 0;
  let read = 0;
  const add = (kind, end) => {
    if (end > read) pieces.push({ kind, speaker, text: text.slice(read, end) });
    read = end;
  };
  for (const mark of text.matchAll(MARK)) {
    add("words", mark.index);
    if (mark[1]) speaker = Number(mark[1]);
    add(mark[1] ? "tag" : KNOWN.has(mark[2].trim().toLowerCase()) ? "cue" : "aside", mark.index + mark[0].length);
  }
  add("words", text.length);
  return pieces;
}

/** How many turns the text has: its tags, and the words before the first of them. */
export function turnsOf(text) {
  const pieces = piecesOf(text);
  const untagged = pieces.some(({ speaker, text: words }) => speaker === 0 && words.trim());
  return pieces.filter(({ kind }) => kind === "tag").length + Number(untagged);
}

/** What to put between `before` and `after` so that the speaker's turn begins on a line of its own. */
export function turnBetween(before, after, speaker) {
  const line = before === "" || before.endsWith("\n") ? "" : "\n";
  return `${line}[S${speaker}]${after.startsWith(" ") ? "" : " "}`;
}

/** What to put between `before` and `after` so that the cue touches no word. */
export function cueBetween(before, after, cue) {
  const left = before === "" || /\s$/.test(before) ? "" : " ";
  const right = /^[\s.,!?;:]/.test(after) ? "" : " ";
  return `${left}(${cue})${right}`;
}
