"""IMAP: a client looks at mailboxes, for hours, while others change them (RFC 3501 and its extensions).

A session holds state and calls rooms: `wire.imap` reads, `commands` says which command is allowed when and who obeys
it, one family of commands a file. `view` keeps one picture of each mailbox that anybody has open.

Five sentences prevent bugs:

1. A message number means what the client was told last. A session keeps the generation it told (`Session.known`), and
   only `news.tell` puts a later one in its place, saying what changed.
2. EXPUNGE is never said during FETCH, STORE and SEARCH, nor between commands (RFC 3501 §7.4.1): `commands` has a
   column for it.
3. `*` is the last message the client knows, not one that came a moment ago: STORE 1:* must not reach further.
4. Commands of one connection are done one after the other, whatever is pipelined (traps I22).
5. No transaction is open while a peer is waited for: long answers are made in pieces (`pieces`), each with its own.
"""
