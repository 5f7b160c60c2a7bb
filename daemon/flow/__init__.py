"""Where does it go next?

One road in: every message is accepted by `receive`; `planning` reads and `deliver` commits (one write), both where the
writer is. `rules` are those of mailboxes' owners (`answers` has the words, `applying` makes a plan of them), `engines`
asks other filters before that, `submit` completes what users hand in, `containing` holds what is too much of it and
`alarm` tells of that, `notify` tells a sender what acceptance could not do, `forward` names the sender of what is sent
on. One road out: rows in the queue, which `queue` claims and hands to a `lane` for each destination; `route` finds
hosts, `peer` and `tls` connect, `send` keeps a session and `fit` looks what it bears; an `outcome` is a value, `settle`
writes many, `bounce` tells the sender. `outbound` puts the road out together.

Four sentences prevent bugs:

1. Nobody is told "250" before the commit, and nothing leaves our hands before its result is committed.
2. A result is per recipient. What one recipient, host or destination does never reaches another.
3. The null sender is never answered.
4. Whatever fails on the way out, the runner goes on; whatever dies, its lease ends.
"""
