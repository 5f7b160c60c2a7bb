"""Who is talking to us?

`listen` opens the doors and counts who comes in, `tls` holds the keys, `connection` carries the bytes, `login` is the
one place where a password is looked at; every protocol has a file or a folder of its own on top of them. Three
sentences prevent bugs:

1. No transaction is open and no lock is held while a peer is waited for.
2. What a peer is promised (`250`, `+OK`, tagged `OK`) was committed before it is written.
3. A connection's state lives in its session object, never in a class or a module.
"""
