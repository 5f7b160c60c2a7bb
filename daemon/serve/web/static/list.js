/**
 * The list of conversations: as many rows as one sees, whatever its length. Rows stand at their positions and are
 * used again for others as one scrolls; the height of the whole is that of all conversations.
 */

import { $, h, icon, mark } from "./dom.js";
import { fillRow, makeRow } from "./row.js";
import { state } from "./state.js";

const AHEAD = 8; // rows kept above and below what one sees
/** Before anything is known: rows that are still coming. */
const COMING = { total: null, error: null, ids: [], route: {}, threadAt: () => undefined, emailsOf: () => [], ensure: () => {} };

export class ListView {
  /** @param {{open: (threadId: string) => void, act: (name: string, threadIds: string[]) => void}} hands */
  constructor(hands) {
    this.hands = hands;
    this.grid = $("#grid");
    this.space = h("div", { class: "grid-space", role: "rowgroup" });
    this.empty = h("div", { class: "empty", hidden: true });
    this.grid.replaceChildren(this.space);
    this.grid.after(this.empty);
    this.rows = new Map();
    this.free = [];
    this.cursor = 0;
    this.anchor = null;
    this.height = 84;
    this._listen();
  }

  get listing() {
    return state.listing ?? COMING;
  }

  _listen() {
    this.grid.addEventListener("scroll", () => this.later(), { passive: true });
    new ResizeObserver(() => this.resized()).observe(this.grid);
    this.grid.addEventListener("click", (event) => this.clicked(event));
    this.grid.addEventListener("dragstart", (event) => this.dragged(event));
    this.grid.addEventListener("keydown", (event) => this.walked(event));
    this.grid.addEventListener("contextmenu", (event) => this.asked(event));
    state.on("list", ({ listing, before }) => listing === this.listing && this.renewed(before));
    state.on("emails", () => this.draw());
    state.on("selection", () => this.draw());
  }

  /** Another list: from its top. */
  begin() {
    this.cursor = 0;
    this.anchor = null;
    this.grid.scrollTop = 0;
    this.draw();
    this.want();
  }

  resized() {
    const height = parseFloat(getComputedStyle(this.grid).getPropertyValue("--row")) || 84;
    if (height !== this.height) {
      this.grid.scrollTop = (this.grid.scrollTop / this.height) * height;
      this.height = height;
    }
    this.draw();
    this.want();
  }

  /** Positions of the first and the last row that one sees. */
  seen() {
    const first = Math.floor(this.grid.scrollTop / this.height);
    return [first, first + Math.ceil(this.grid.clientHeight / this.height)];
  }

  /** See to it that what one sees is there, and a little around it. */
  want() {
    const [first, last] = this.seen();
    return this.listing.ensure(Math.max(0, first - AHEAD), last + AHEAD);
  }

  later() {
    if (this._frame) return;
    this._frame = requestAnimationFrame(() => {
      this._frame = 0;
      this.draw(true);
    });
    clearTimeout(this._fetching);
    this._fetching = setTimeout(() => this.want(), 60); // a long drag of the bar asks once
  }

  /**
   * The list was read anew: what one looks at stays where it is, though mail arrived above it, and the keys stay with the
   * conversation that they were about.
   */
  renewed(before = []) {
    const now = (index) => this.listing.indexOf(state.emails.get(before[index])?.threadId ?? "");
    const [top] = this.seen();
    const held = this.grid.scrollTop > 0 ? now(top) : -1;
    const pointed = now(this.cursor);
    if (pointed >= 0) this.cursor = pointed;
    if (held >= 0 && held !== top) {
      this.size();
      this.grid.scrollTop += (held - top) * this.height;
    }
    this.draw();
    this.want();
  }

  size() {
    const total = this.listing.total ?? Math.ceil(this.grid.clientHeight / this.height);
    this.space.style.height = `${total * this.height}px`;
    mark(this.grid, "rowcount", this.listing.total ?? -1);
    return total;
  }

  /** Show what is in sight. `moved`: it was only scrolled, and rows that stand are right already. */
  draw(moved = false) {
    const total = this.size();
    this.cursor = Math.max(0, Math.min(this.cursor, total - 1));
    const [first, last] = this.seen();
    const from = Math.max(0, first - AHEAD);
    const to = Math.min(total - 1, last + AHEAD);
    for (const [index, row] of this.rows) {
      if (index >= from && index <= to) continue;
      this.rows.delete(index);
      this.free.push(row);
    }
    for (let index = from; index <= to; index++) this.place(index, moved);
    for (const row of this.free.splice(0)) row.remove();
    const cursor = this.rows.get(this.cursor);
    mark(this.grid, "activedescendant", cursor ? cursor.id : null);
    this.tellEmpty();
  }

  place(index, moved) {
    let row = this.rows.get(index);
    if (row && moved) return;
    if (!row) {
      row = this.free.pop() ?? makeRow();
      this.rows.set(index, row);
      row.style.transform = `translateY(${index * this.height}px)`;
      if (!row.isConnected) this.space.append(row);
      row.dataset.height = this.height;
    } else if (Number(row.dataset.height) !== this.height) {
      row.style.transform = `translateY(${index * this.height}px)`;
      row.dataset.height = this.height;
    }
    const threadId = this.listing.threadAt(index);
    fillRow(row, {
      index,
      threadId,
      listing: this.listing,
      cursor: index === this.cursor,
      open: threadId !== undefined && threadId === state.route.thread,
      selected: state.selected.has(threadId),
    });
  }

  tellEmpty() {
    const { total, error, route, narrow } = this.listing;
    const none = error ? total === null : total === 0;
    this.empty.hidden = !none;
    this.grid.classList.toggle("is-empty", none);
    if (!none) return;
    const [sign, words] = error
      ? ["warning", error.type === "offline" ? "No connection. It comes back by itself." : error.message]
      : route.place === "search" ? ["search", "Nothing was found."]
      : narrow ? ["sort", "Nothing here fits the filter."]
      : route.place === "inbox" ? ["inbox", "All done. Nothing waits for you."]
      : ["folder", "Nothing here."];
    this.empty.replaceChildren(icon(sign), h("p", {}, words));
  }

  // -- the hand ------------------------------------------------------------------------------------------------------

  clicked(event) {
    const row = event.target.closest(".row[data-thread]");
    if (!row) return;
    const index = Number(row.dataset.index);
    const threadId = row.dataset.thread;
    if (event.target.closest(".row-star")) return this.hands.act("star", [threadId]);
    const ticks = event.target.closest(".row-face") || event.ctrlKey || event.metaKey;
    if (event.shiftKey) return this.selectTo(index);
    this.cursor = index;
    this.anchor = index;
    if (ticks) this.toggle(threadId);
    else this.hands.open(threadId);
    this.draw();
  }

  toggle(threadId) {
    if (!state.selected.delete(threadId)) state.selected.add(threadId);
    state.emit("selection");
  }

  /** All from where one began to here. */
  selectTo(index) {
    const start = this.anchor ?? this.cursor;
    for (let at = Math.min(start, index); at <= Math.max(start, index); at++) {
      const threadId = this.listing.threadAt(at);
      if (threadId) state.selected.add(threadId);
    }
    this.cursor = index;
    getSelection()?.removeAllRanges();
    state.emit("selection");
  }

  dragged(event) {
    const row = event.target.closest?.(".row[data-thread]");
    if (!row) return event.preventDefault();
    const threadIds = state.selected.has(row.dataset.thread) ? [...state.selected] : [row.dataset.thread];
    event.dataTransfer.setData("application/x-threads", JSON.stringify(threadIds));
    event.dataTransfer.effectAllowed = "move";
    const badge = h("div", { class: "drag-badge" }, threadIds.length === 1 ? "1 conversation" : `${threadIds.length} conversations`);
    document.body.append(badge);
    event.dataTransfer.setDragImage(badge, 12, 12);
    setTimeout(() => badge.remove());
  }

  asked(event) {
    const row = event.target.closest(".row[data-thread]");
    if (!row) return;
    event.preventDefault();
    const { thread } = row.dataset;
    this.cursor = Number(row.dataset.index);
    this.draw();
    this.hands.menu({ x: event.clientX, y: event.clientY }, state.selected.has(thread) ? [...state.selected] : [thread]);
  }

  // -- the keys ------------------------------------------------------------------------------------------------------

  walked(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const page = Math.max(1, this.seen()[1] - this.seen()[0] - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in steps) {
      this.step(steps[event.key], event.shiftKey);
    } else if (event.key === "Enter") {
      const threadId = this.current();
      if (threadId) this.hands.open(threadId);
    } else if (event.key === " ") {
      const threadId = this.current();
      if (threadId) this.toggle(threadId);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  current() {
    return this.listing.threadAt(this.cursor);
  }

  /** The cursor some rows on, in sight. Returns the thread there. */
  step(by, selecting = false) {
    const total = this.listing.total ?? 0;
    const to = Math.max(0, Math.min(this.cursor + by, total - 1));
    if (selecting) {
      this.anchor ??= this.cursor;
      this.selectTo(to);
    } else {
      this.anchor = null;
    }
    this.moveTo(to);
    return this.current();
  }

  moveTo(index) {
    this.cursor = index;
    const top = index * this.height;
    const { scrollTop, clientHeight } = this.grid;
    if (top < scrollTop) this.grid.scrollTop = top;
    else if (top + this.height > scrollTop + clientHeight) this.grid.scrollTop = top + this.height - clientHeight;
    this.draw();
  }

  /** The cursor on a thread, if it is in the list. */
  point(threadId) {
    const index = state.listing?.indexOf(threadId) ?? -1;
    if (index >= 0) this.moveTo(index);
    else this.draw();
  }

  /** The thread beside another: what one reads next when it goes. */
  beside(threadId, by = 1) {
    const index = this.listing.indexOf(threadId);
    if (index < 0) return undefined;
    return this.listing.threadAt(index + by) ?? this.listing.threadAt(index - by);
  }
}
