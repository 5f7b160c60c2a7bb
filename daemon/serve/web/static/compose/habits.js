// How somebody likes to write, kept in this browser: nothing here is worth a place on the server.

const USUAL = { format: "rich", quote: "below", undo: 10 };
const KEY = "mail-habits";

/** @returns {{format: 'rich'|'plain', quote: 'below'|'above'|'none', undo: number}} */
export function habits() {
  try {
    return { ...USUAL, ...JSON.parse(localStorage.getItem(KEY) ?? "{}") };
  } catch {
    return { ...USUAL };
  }
}

export function setHabits(some) {
  try {
    localStorage.setItem(KEY, JSON.stringify({ ...habits(), ...some }));
  } catch {
    /* a browser that keeps nothing */
  }
}
