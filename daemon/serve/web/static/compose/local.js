// What must survive a closed tab or a lost line: drafts that are not yet on the server, messages that wait to go out.
// Kept in IndexedDB, files and all, by account: whoever signs in here next sees nothing of it.

const NAME = "mail-desk";
let opened = null;

function open() {
  opened ??= new Promise((resolve, reject) => {
    const asked = indexedDB.open(NAME, 1);
    asked.onupgradeneeded = () => {
      for (const shelf of ["drafts", "outbox"]) asked.result.createObjectStore(shelf, { keyPath: "key" });
    };
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => {
      opened = null;
      reject(asked.error);
    };
  });
  return opened;
}

async function within(shelf, mode, work) {
  const transaction = (await open()).transaction(shelf, mode);
  const request = work(transaction.objectStore(shelf));
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(request.result);
    transaction.onerror = transaction.onabort = () => reject(transaction.error ?? request.error);
  });
}

/** @param {'drafts'|'outbox'} shelf  @param {{key: string, account: string}} item */
export const put = (shelf, item) => within(shelf, "readwrite", (store) => store.put(item));
export const drop = (shelf, key) => within(shelf, "readwrite", (store) => store.delete(key));

/** All of an account, oldest first. */
export async function all(shelf, account) {
  const found = await within(shelf, "readonly", (store) => store.getAll());
  return found.filter((item) => item.account === account).sort((one, other) => one.at - other.at);
}
