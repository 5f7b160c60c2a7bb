// A rule as a sentence. Pure.

const PARTS = { from: "From", to: "To or Cc", subject: "Subject", size: "Size" };
const UNITS = [
  [1 << 30, "GB"],
  [1 << 20, "MB"],
  [1 << 10, "KB"],
];

/** @returns {{condition: string, deeds: string}} */
export function inWords(rule) {
  const said = rule.conditions.map(conditionInWords);
  const condition = said.length ? `When ${said.join(rule.any ? " or " : " and ")}` : "All mail";
  return { condition, deeds: capital(deedsOf(rule).join(", ")) };
}

function conditionInWords({ field, match, values = [], size }) {
  const name = PARTS[field] ?? field;
  if (field === "size") return `it is ${match} ${octetsInWords(size)}`;
  if (match === "exists") return `there is a field ${name}`;
  const listed = values.map((value) => `“${value}”`).join(" or ");
  return `${name} ${match === "is" ? "is" : "contains"} ${listed}`;
}

function octetsInWords(octets) {
  const [unit, name] = UNITS.find(([each]) => octets >= each && octets % each === 0) ?? [1, "bytes"];
  return `${octets / unit} ${name}`;
}

function deedsOf(rule) {
  const marks = Object.entries(MARKS)
    .filter(([keyword]) => rule.keywords[keyword])
    .map(([, words]) => words);
  const others = Object.keys(rule.keywords)
    .filter((keyword) => !(keyword in MARKS))
    .map((keyword) => `label it ${keyword}`);
  return [
    ...marks,
    ...others,
    rule.file && `move it to ${rule.file}`,
    rule.forward?.length && `forward it to ${rule.forward.join(", ")}`,
    rule.keep && "keep a copy in the inbox",
    rule.discard && "throw it away",
    rule.stop && "then stop",
  ].filter(Boolean);
}

const MARKS = { $seen: "mark it read", $flagged: "give it a star" };

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
