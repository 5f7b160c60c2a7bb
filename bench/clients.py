"""Two clients of user 0 that ask for the same: a page of a list by JMAP, as the webmail asks, and by IMAP."""

from __future__ import annotations

import http.client
import json
import re
import ssl
from typing import Any

from bench.row import Field
from bench.suite import Server

PAGE = 50
MOST = 500  # objects in a get
_USING = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"]
_NEWEST = [{"property": "receivedAt", "isAscending": False}]
# What a list shows of a message, by JMAP and by IMAP (what has a file is seen by its structure).
_PROPERTIES = [
    "id", "threadId", "mailboxIds", "keywords", "hasAttachment", "from", "to", "subject", "receivedAt", "size",
    "preview",
]  # fmt: skip
_ITEMS = "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE{})"


class Jmap:
    """One connection of user 0 that signed in as a browser does."""

    def __init__(self, server: Server) -> None:
        self.origin = f"https://localhost:{server['https'][1]}"
        trusting = ssl._create_unverified_context()  # the certificate is the server's own
        host, port = server["https"]
        self._http = http.client.HTTPSConnection(host, port, timeout=120, context=trusting)
        self._headers = {"Content-Type": "application/json", "Origin": self.origin, "Sec-Fetch-Site": "same-origin"}
        self._headers["Host"] = self.origin.removeprefix("https://")
        self.octets = 0
        said = self._post("/login", {"login": server["user"] % 0, "password": server["password"]})
        if said["state"] != "in":
            raise RuntimeError(f"not signed in: {said}")
        self.account: str = said["accountId"]

    def _post(self, path: str, body: object) -> dict[str, Any]:
        self._http.request("POST", path, json.dumps(body), self._headers)
        answer = self._http.getresponse()
        data = answer.read()
        self.octets = len(data)
        for cookie in answer.headers.get_all("Set-Cookie", ()):
            self._headers["Cookie"] = cookie.partition(";")[0]
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {data[:200]!r}")
        said: dict[str, Any] = json.loads(data)
        return said

    def ask(self, *calls: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
        """The answers to method calls in one request; `#name: (number of the call, path)` refers back.

        Raises `RuntimeError` for what was refused, but not for too many objects: that answer is empty.
        """
        made = []
        for number, (name, arguments) in enumerate(calls):
            sent: dict[str, Any] = {"accountId": self.account}
            for key, value in arguments.items():
                refers = key.startswith("#")
                sent[key] = (
                    {"resultOf": str(value[0]), "name": calls[value[0]][0], "path": value[1]} if refers else value
                )
            made.append([name, sent, str(number)])
        answers = self._post("/jmap/api", {"using": _USING, "methodCalls": made})["methodResponses"]
        for answer in answers:
            if answer[0] == "error" and answer[1]["type"] != "requestTooLarge":
                raise RuntimeError(f"refused: {answer[1]}")
        return [{} if answer[0] == "error" else answer[1] for answer in answers]

    def mailbox(self, name: str) -> str:
        (found,) = self.ask(("Mailbox/get", {"ids": None, "properties": ["name"]}))
        return next(str(one["id"]) for one in found["list"] if one["name"] == name)

    def page(self, condition: dict[str, Any], position: int = 0) -> int:
        """`Email/query` and `Email/get` of its 50 messages. How many came."""
        query = {"filter": condition, "sort": _NEWEST, "position": position, "limit": PAGE, "calculateTotal": True}
        _, got = self.ask(("Email/query", query), ("Email/get", {"#ids": (0, "/ids"), "properties": _PROPERTIES}))
        return len(got["list"])

    def conversations(self, condition: dict[str, Any]) -> int:
        """A page as the webmail's list wants it: conversations, with all messages of each. How many came."""
        query = {"filter": condition, "sort": _NEWEST, "collapseThreads": True, "limit": PAGE, "calculateTotal": True}
        found, _, threads, emails = self.ask(
            ("Email/query", query),
            ("Email/get", {"#ids": (0, "/ids"), "properties": ["threadId"]}),
            ("Thread/get", {"#ids": (1, "/list/*/threadId")}),
            ("Email/get", {"#ids": (2, "/list/*/emailIds"), "properties": _PROPERTIES}),
        )
        if not emails:  # long conversations: in pieces, as the page does
            ids = [one for thread in threads["list"] for one in thread["emailIds"]]
            pieces = [ids[at : at + MOST] for at in range(0, len(ids), MOST)]
            self.ask(*[("Email/get", {"ids": piece, "properties": _PROPERTIES}) for piece in pieces])
        return len(found["ids"])

    def close(self) -> None:
        self._http.close()


class Imap:
    """One connection of user 0 in a mailbox, which asks the same."""

    def __init__(self, field: Field, server: Server, mailbox: str) -> None:
        self.connection = field.suite.imap(server)
        said = set(self.connection.caps.split())
        self.items = _ITEMS.format(" PREVIEW" if "PREVIEW" in said else "")
        self.connection.cmd(f"SELECT {mailbox}")

    def page(self, keys: str, position: int = 0) -> int:
        """UID SEARCH, which tells all numbers, and UID FETCH of 50 from the newest on. How many came."""
        answer = self.connection.cmd(f"UID SEARCH {keys}", True)
        found = re.search(rb"\* SEARCH ([\d ]+)", answer)
        numbers = found[1].split()[::-1][position : position + PAGE] if found else []
        if not numbers:
            return 0
        return int(
            self.connection.cmd(f"UID FETCH {b','.join(numbers).decode()} {self.items}", True).count(b" FETCH (")
        )

    def close(self) -> None:
        self.connection.close()
