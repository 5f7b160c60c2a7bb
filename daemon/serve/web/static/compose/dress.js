// Style sheets of what is fetched when it is first wanted.

/** @param {...string} names  files beside the page's modules; resolves when they are in force, or failed */
export function dressed(...names) {
  return Promise.all(
    names.map((name) => {
      const href = new URL(`../${name}`, import.meta.url).href;
      if ([...document.styleSheets].some((sheet) => sheet.href === href)) return undefined;
      return new Promise((done) => {
        const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href, onload: done, onerror: done });
        document.head.append(link);
      });
    }),
  );
}
