/** Dates as people read them, in their language and zone. Pure: now is handed in. */

const DAY = 86_400_000;
const kinds = new Map();

/** Formatters are costly to make: each is made once. */
function formatter(options, locale) {
  const key = `${locale}${JSON.stringify(options)}`;
  if (!kinds.has(key)) kinds.set(key, new Intl.DateTimeFormat(locale, options));
  return kinds.get(key);
}

function dayOf(date) {
  return Math.round(new Date(date.getFullYear(), date.getMonth(), date.getDate()) / DAY);
}

/** For a row of a list: the time today, the weekday this week, the day this year, else the whole date. */
export function short(date, now = new Date(), locale = undefined) {
  const days = dayOf(now) - dayOf(date);
  if (days === 0) return formatter({ hour: "numeric", minute: "2-digit" }, locale).format(date);
  if (days > 0 && days < 7) return formatter({ weekday: "short" }, locale).format(date);
  if (date.getFullYear() === now.getFullYear()) return formatter({ day: "numeric", month: "short" }, locale).format(date);
  return formatter({ day: "numeric", month: "short", year: "numeric" }, locale).format(date);
}

/** For the head of a message: the date and time, and how long ago where that is soon. */
export function long(date, now = new Date(), locale = undefined) {
  const same = date.getFullYear() === now.getFullYear();
  const options = { weekday: "short", day: "numeric", month: "short", hour: "numeric", minute: "2-digit" };
  return formatter(same ? options : { ...options, year: "numeric" }, locale).format(date);
}

/** Everything, for a tip and for print. */
export function full(date, locale = undefined) {
  return formatter({ dateStyle: "full", timeStyle: "long" }, locale).format(date);
}

/** Octets for people: `812 B`, `3.4 KB`, `12 MB`. */
export function size(octets) {
  if (octets < 1000) return `${octets} B`;
  const units = ["KB", "MB", "GB", "TB"];
  let value = octets;
  let unit = -1;
  do {
    value /= 1000;
    unit++;
  } while (value >= 999.5 && unit < units.length - 1);
  return `${value < 10 ? value.toFixed(1).replace(/\.0$/, "") : Math.round(value)} ${units[unit]}`;
}
