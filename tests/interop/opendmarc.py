"""The verdicts of libopendmarc, for a program of its own: `python -m tests.interop.opendmarc PORT SUFFIXES < cases`.

Cases and answers are JSON lists. A case is `{"author": domain, "spf": [domain, result], "dkim": [[domain, result]]}`;
an answer is `[what the query said, what is to be enforced, DKIM aligned, SPF aligned]` in the library's own numbers. It
asks the name server at 127.0.0.1:PORT; SUFFIXES is a file in the form of the public suffix list.
"""

from __future__ import annotations

import ctypes
import json
import socket
import struct
import sys

LIBRARY = "libopendmarc.so.2"
OKAY, NO_P, NO_RECORD, NXDOMAIN, TEMPORARY = 0, 5, 9, 10, 11
ABSENT, PASS, REJECT, QUARANTINE, NONE = 14, 15, 16, 17, 18
_ALIGNED = 4
_OUTCOMES = {"none": 0, "pass": 1, "fail": 2, "temperror": 3}
_MAILFROM = 1


class Init(ctypes.Structure):
    """OPENDMARC_LIB_T of version 1.4: the suffix file, and up to three name servers as sockaddr_in."""

    _fields_ = [
        ("tld_type", ctypes.c_int),
        ("tld_source_file", ctypes.c_char * 4096),
        ("nscount", ctypes.c_int),
        ("nsaddr_list", ctypes.c_char * 16 * 3),
    ]


def library(port: int, suffixes: str) -> ctypes.CDLL:
    lib = ctypes.CDLL(LIBRARY)
    lib.opendmarc_policy_connect_init.restype = ctypes.c_void_p
    address = struct.pack("=H", socket.AF_INET) + struct.pack("!H4s8x", port, socket.inet_aton("127.0.0.1"))
    init = Init(1, suffixes.encode(), 1)
    ctypes.memmove(ctypes.addressof(init) + Init.nsaddr_list.offset, address, len(address))
    lib.kept = init  # type: ignore[attr-defined]
    if lib.opendmarc_policy_library_init(ctypes.byref(init)) != OKAY:
        raise SystemExit("the library does not start")
    return lib


def verdict(lib: ctypes.CDLL, author: str, spf: tuple[str, str], dkim: list[tuple[str, str]]) -> list[int]:
    context = ctypes.c_void_p(lib.opendmarc_policy_connect_init(b"192.0.2.1", 4))
    try:
        lib.opendmarc_policy_store_from_domain(context, author.encode())
        lib.opendmarc_policy_store_spf(context, spf[0].encode(), _OUTCOMES[spf[1]], _MAILFROM, None)
        for domain, result in dkim:
            lib.opendmarc_policy_store_dkim(context, domain.encode(), b"s", _OUTCOMES[result], None)
        status = lib.opendmarc_policy_query_dmarc(context, author.encode())
        enforce = lib.opendmarc_get_policy_to_enforce(context)
        by_dkim, by_spf = ctypes.c_int(0), ctypes.c_int(0)
        lib.opendmarc_policy_fetch_alignment(context, ctypes.byref(by_dkim), ctypes.byref(by_spf))
        return [status, enforce, by_dkim.value == _ALIGNED, by_spf.value == _ALIGNED]
    finally:
        lib.opendmarc_policy_connect_shutdown(context)


if __name__ == "__main__":
    loaded = library(int(sys.argv[1]), sys.argv[2])
    print(json.dumps([verdict(loaded, **case) for case in json.load(sys.stdin)]))
