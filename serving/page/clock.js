// Moments and lengths of time as a reader wants them. Knows no element and no audio.

/** 67.84 seconds → "1:07.8". */
export function clock(value) {
  const tenths = Math.max(0, Math.floor(value * 10 + 1e-6));
  const minutes = Math.floor(tenths / 600);
  return `${minutes}:${String(Math.floor(tenths / 10) % 60).padStart(2, "0")}.${tenths % 10}`;
}

/** 7.25 seconds → "7.3 s"; a minute and more as a clock. */
export function seconds(value) {
  return value < 60 ? `${value.toFixed(1)} s` : clock(value);
}

/** An ISO date and time → the hour today, day and hour before. */
export function moment(iso) {
  const then = new Date(iso);
  const today = then.toDateString() === new Date().toDateString();
  return then.toLocaleString([], today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" });
}
