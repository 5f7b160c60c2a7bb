/** A plot of hours or days: columns side by side for each, with a scale of round numbers. Drawn as SVG, summed up in words. */

import { h, put } from "../dom.js";

const SPACE = "http://www.w3.org/2000/svg";
const HIGH = 220;
const LEFT = 40;
const BELOW = 24;
const WIDEST = 120; // of all columns of one time: few are no walls

function s(tag, props = {}, ...children) {
  const made = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(props)) made.setAttribute(name, value);
  return put(made, children);
}

/** The smallest round number that is not below `most`: 1, 2, 5 times a power of ten, at least 4. */
export function top(most) {
  const power = 10 ** Math.floor(Math.log10(Math.max(most, 1)));
  return Math.max(4, [1, 2, 5, 10].map((step) => step * power).find((round) => round >= most));
}

/**
 * @param {{at: number}[]} hours
 * @param {{name: string, of: (hour: any) => number, colour?: number}[]} series at most three
 * @param {object} [said] how a time is said, as Intl has it
 */
export function hourly(label, hours, series, said = { hour: "2-digit", minute: "2-digit" }) {
  const wide = innerWidth < 720 ? 340 : 960; // units of a pixel or so: letters are as large on a phone
  const named = Math.ceil(hours.length / (wide < 720 ? 4 : 8)); // columns from one that has a name to the next
  const round = top(Math.max(0, ...hours.flatMap((hour) => series.map(({ of }) => of(hour)))));
  const y = (value) => HIGH - (value / round) * (HIGH - 12);
  const step = (wide - LEFT) / hours.length;
  const marks = [0, 0.25, 0.5, 0.75, 1].map((part) => part * round).filter(Number.isInteger);
  const svg = s(
    "svg",
    { class: "plot", viewBox: `0 0 ${wide} ${HIGH + BELOW}`, role: "img", "aria-label": `${label}: ${words(hours, series)}` },
    marks.map((mark) => [
      s("line", { class: "grid", x1: LEFT, x2: wide, y1: y(mark), y2: y(mark) }),
      s("text", { x: LEFT - 8, y: y(mark) + 4, "text-anchor": "end" }, mark.toLocaleString()),
    ]),
    hours.map((hour, index) => column(hour, LEFT + index * step, step, series, y, new Date(hour.at).toLocaleString(undefined, said), index % named === 0)),
  );
  return h("figure", { class: "figure" }, svg, legend(series));
}

function column(hour, x, step, series, y, time, named) {
  const full = Math.min(step * 0.72, WIDEST);
  const wide = full / series.length;
  const said = `${time}: ${series.map(({ name, of }) => `${of(hour).toLocaleString()} ${name}`).join(", ")}`;
  return s(
    "g",
    {},
    s("title", {}, said),
    s("rect", { class: "lit", x, y: 0, width: step, height: HIGH }),
    series.map(({ of, colour }, index) => {
      const value = of(hour);
      const height = value ? Math.max(2, HIGH - y(value)) : 0;
      return s("rect", { class: `series-${colour ?? index}`, x: x + (step - full) / 2 + index * wide, y: HIGH - height, width: Math.max(wide - 1, 1), height, rx: Math.min(2, wide / 3) });
    }),
    named && s("text", { x: x + step / 2, y: HIGH + 17, "text-anchor": "middle" }, time),
  );
}

function legend(series) {
  return h("ul", { class: "legend" }, series.map(({ name, colour }, index) => h("li", {}, h("i", { class: `series-${colour ?? index}` }), name)));
}

function words(hours, series) {
  const sum = (of) => hours.reduce((total, hour) => total + of(hour), 0);
  return series.map(({ name, of }) => `${sum(of).toLocaleString()} ${name}`).join(", ");
}

/** Shares as lines: `{name, count, colour}`; the longest fills the line. */
export function shares(rows) {
  const most = Math.max(1, ...rows.map(({ count }) => count));
  return h(
    "div",
    { class: "bars" },
    rows.map(({ name, count, colour }) => [
      h("span", {}, name),
      h("span", { class: ["bar", `series-${colour}`], style: { width: `${(100 * count) / most}%` } }),
      h("span", { class: "number" }, count.toLocaleString()),
    ]),
  );
}
