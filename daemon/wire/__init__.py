"""What do these bytes mean?

Every reader here is a generator over a `Stream`: it yields `None` when it wants more bytes, `Send(data)` when the
dialogue needs a word from us first (an IMAP literal), and returns its answer. No socket, clock, database or log is
reachable from this room. Three sentences prevent bugs:

1. A limit is an argument and is compared before the bytes are read.
2. A reader that raises leaves the stream at a place its caller can name (see each exception).
3. Nothing is kept between two reads but what is in the `Stream`.
"""
