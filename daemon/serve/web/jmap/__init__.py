"""JMAP (RFC 8620, 8621): what the webmail and other clients ask over HTTP.

`method` says what a method is; a module for each type of object gives a table of its own; `capabilities` joins them.
"""
