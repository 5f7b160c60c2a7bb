// What somebody would want to be told before a message goes out. Pure.

import { isAddress } from "./addresses.js";
import { envelopeTo } from "./message.js";

/** "attached" and its like, in the languages people here write most; a stem each. */
const SPOKEN = new RegExp(
  [
    "attach(ed|ment|ing)",
    "enclosed",
    "anbei",
    "angeh[äa]ngt",
    "im anhang",
    "beigef[üu]gt",
    "anlage[n]?\\b",
    "ci-joint",
    "pi[èe]ces? jointes?",
    "en annexe",
    "adjunt[oa]",
    "allegat[oa]",
    "in allegato",
    "em anexo",
    "anexad[oa]",
    "bijlage",
    "bijgevoegd",
    "bifoga[dt]",
    "vedlagt",
    "vedh[æe]ft",
    "w za[łl][ąa]czeniu",
    "za[łl][ąa]cznik",
    "p[řr][íi]loh",
    "во вложении",
    "прикреп",
    "прилага",
    "ekte\\b",
    "添付",
    "附件",
    "첨부",
  ].join("|"),
  "iu",
);

/** Only what was written now: quoted lines and the signature said it long ago. */
function written(text) {
  const lines = text.split("\n");
  const end = lines.findLastIndex((line) => line === "-- ");
  const forwarded = lines.findIndex((line) => /^-{5,} .+ -{5,}$/.test(line));
  const ends = [end, forwarded].filter((at) => at >= 0);
  return lines
    .slice(0, ends.length ? Math.min(...ends) : undefined)
    .filter((line) => !line.startsWith(">"))
    .join("\n");
}

/**
 * Reasons to ask once more, in the order they are asked.
 * @returns {{kind: 'attachment'|'subject'|'many', question: string, go: string}[]}
 */
export function warnings(draft) {
  const found = [];
  const files = draft.parts.filter((part) => !part.cid);
  if (!files.length && SPOKEN.test(`${draft.subject}\n${written(draft.text)}`)) {
    found.push({ kind: "attachment", question: "You write of an attachment, but there is none.", go: "Send without it" });
  }
  if (!draft.subject.trim()) {
    found.push({ kind: "subject", question: "This message has no subject.", go: "Send without a subject" });
  }
  const seen = draft.to.length + draft.cc.length;
  if (seen > 50) {
    found.push({
      kind: "many",
      go: `Send to ${seen.toLocaleString()} people`,
      question: `${seen.toLocaleString()} people will see each other’s addresses. Put them into Bcc if they should not.`,
    });
  }
  return found;
}

/** Why it cannot go at all; null: it can. `most`: recipients that the server takes. */
export function fault(draft, most = Infinity) {
  const all = [...draft.to, ...draft.cc, ...draft.bcc];
  if (!all.length) return "Say who should get it: there is no recipient yet.";
  const wrong = all.filter((one) => !isAddress(one.email)).map((one) => one.email);
  if (wrong.length) {
    const named = wrong.slice(0, 3).join(", ");
    return `${named}${wrong.length > 3 ? ` and ${wrong.length - 3} more` : ""} cannot be an address.`;
  }
  const count = envelopeTo(draft).length;
  if (count <= most) return null;
  const [has, may] = [count, most].map((one) => one.toLocaleString());
  return `It has ${has} recipients, and one message goes to ${may} at most: send it in parts. As a draft it is kept whole.`;
}
