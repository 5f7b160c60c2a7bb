"""Where is it kept? The only room with SQL.

Domain code is plain synchronous functions over a transaction, `def add_user(tx, ...)`. The daemon calls
`await store.read(fn, ...)` and `await store.write(fn, ...)`, the command line `store.read_now` and `store.write_now`.
The server's writes run in another process (`remote`): a work gets all it needs as arguments. What reads much to know
what it writes does both there: `store.plan_and_write`.
Five sentences prevent bugs:

1. Bytes are in a segment and synced before a row points to them; a row is committed before anybody is told.
2. Numbers (UID, MODSEQ, ids) are allotted in the transaction, never from memory.
3. No transaction is open while we wait for a peer, and none lasts longer than 50 ms where it can be cut.
4. What changed is published after COMMIT only.
5. What must always hold is written once, as code: `check`. Whoever adds a table or a counter adds its proof there.
"""
