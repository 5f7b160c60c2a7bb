/** A finger that draws a row aside: to the left files it away, to the right reads it or not. */

const FAR = 72; // pixels from where it is meant

/**
 * @param {HTMLElement} grid
 * @param {{left: (threadId: string) => void, right: (threadId: string) => void}} hands
 */
export function swiped(grid, hands) {
  let row = null;
  let start = null;
  let by = 0;
  const rest = () => {
    row?.querySelectorAll(":scope > *").forEach((cell) => (cell.style.transform = ""));
    row?.removeAttribute("data-swipe");
    row = start = null;
    by = 0;
  };
  grid.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "touch") return;
    row = event.target.closest(".row[data-thread]");
    start = { x: event.clientX, y: event.clientY };
  });
  grid.addEventListener("pointermove", (event) => {
    if (!row || event.pointerType !== "touch") return;
    const [across, down] = [event.clientX - start.x, event.clientY - start.y];
    if (!by && Math.abs(down) > Math.abs(across)) return rest();
    if (!by && Math.abs(across) < 12) return undefined;
    by = across;
    row.dataset.swipe = by < 0 ? "left" : "right";
    row.toggleAttribute("data-far", Math.abs(by) > FAR);
    for (const cell of row.children) cell.style.transform = `translateX(${by}px)`;
    return undefined;
  });
  grid.addEventListener("pointerup", () => {
    if (!row || !by) return rest();
    const { thread } = row.dataset;
    const hand = Math.abs(by) > FAR ? (by < 0 ? hands.left : hands.right) : null;
    const deaf = (event) => event.stopImmediatePropagation(); // the click that may end a swipe opens nothing
    grid.addEventListener("click", deaf, { capture: true });
    setTimeout(() => grid.removeEventListener("click", deaf, { capture: true }), 50);
    setTimeout(rest);
    hand?.(thread);
    return undefined;
  });
  grid.addEventListener("pointercancel", rest);
}
