// What this page can have made: a form for each of these models, where the server serves it. Knows no element and no
// field.

/** The model that speaks, by its name at the server. */
export const SPEECH = "parley/dia";

/**
 * name: as `data-for` has it in index.html. model: at the server. label: on the switch. recording: what an upload is
 * called. memory: what its entries in the page's memory begin with; those of the dialogue are older than the others.
 */
export const KINDS = [
  {
    name: "dialogue",
    model: SPEECH,
    label: "Dialogue",
    recording: "voice",
    memory: "",
    example: `[S1] Did you hear that? Somebody left the studio light on again.
[S2] (laughs) That was me. I wanted to try one more take.
[S1] At midnight? (sighs) Well, since we are both here, read me the first line.
[S2] (clears throat) Once upon a time, two voices shared a single page.`,
  },
  {
    name: "music",
    model: "parley/musicgen",
    label: "Music",
    recording: "recording",
    memory: "music.",
    example: "A slow waltz on an upright piano with brushed drums and a double bass, late at night.",
  },
  {
    name: "sound",
    model: "parley/audiogen",
    label: "Sound",
    recording: "recording",
    memory: "sound.",
    example: "Rain on a tin roof, thunder far away, a door that creaks.",
  },
];
