// Octets to the server with how far they are (RFC 8620 §6.1): what fetch cannot tell yet, XMLHttpRequest can.

import { expand, jmap, JmapError } from "../jmap.js";

/**
 * @param {Blob} blob
 * @param {(part: number) => void} progress  0 to 1
 * @param {AbortSignal} signal
 * @returns {Promise<{blobId: string, type: string, size: number}>}  rejects with JmapError, `offline` when the line broke
 */
export function upload(blob, progress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", expand(jmap.session.uploadUrl, { accountId: jmap.accountId }));
    request.setRequestHeader("Content-Type", blob.type || "application/octet-stream");
    request.responseType = "json";
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.onload = () => {
      if (request.status >= 200 && request.status < 300 && request.response?.blobId) resolve(request.response);
      else reject(refusal(request));
    };
    request.onerror = () => reject(new JmapError("offline", "The server cannot be reached."));
    request.onabort = () => reject(new JmapError("aborted", "Stopped."));
    signal.addEventListener("abort", () => request.abort());
    request.send(blob);
  });
}

function refusal({ status, response }) {
  if (status === 413) return new JmapError("tooLarge", "It is too large for this server.");
  if (status === 401) return new JmapError("signedOut", "Please sign in again.");
  const type = status === 429 || status >= 500 ? "busy" : "http";
  return new JmapError(type, response?.detail || `The server answered ${status}.`, response ?? {});
}
