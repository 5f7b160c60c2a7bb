"""What is this message? Bytes in, values out: no I/O, no clock, no chance.

Three sentences prevent most bugs here:

* Nothing in this room raises on the bytes of a message. What cannot be understood is described as what it then is:
  a multipart without a boundary is plain text, a part nested too deep is an opaque octet stream.
* Offsets count from the first octet of the *original*. What this server adds is a prefix kept beside the original;
  only a section counts from the first octet of the prefix, as a client does (`section.Stretch`).
* Every loop over hostile bytes is bounded by `daemon.limits` or linear by construction, never both at the reader's
  mercy: a regular expression here has no two neighbouring parts that can match the same octet.

`address` and `decode` stand alone; `header` and `message` find the structure; `structure`, `text`, `section` and
`summary` tell it to others; `headers`, `notice` and `remedy` write mail of our own.
"""
