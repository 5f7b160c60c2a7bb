"""JMAP (RFC 8620, 8621): what the webmail and other clients ask over HTTP.

`method` says what a method is; each type of object gives a table of its own, those of many methods in a room (`email`,
`blob`, `submission`, `owner`); `capabilities` joins them, `api` answers. Frames that types share are `core` (queries,
changes), `gets`, `sets` and `few` (types of few objects). `push` tells what changes.
"""
