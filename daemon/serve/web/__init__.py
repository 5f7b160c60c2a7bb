"""What do we show over HTTP? Behind the same doors as all else: counted, banned and drained as SMTP and IMAP are.

`door` hands a connection to aiohttp, `app` is the table of what is found where, `validation` answers TLS-ALPN-01 before
HTTP begins. aiohttp is loaded with the first request: a server whose web nobody looks at does not carry it.
"""
