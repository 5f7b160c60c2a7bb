"""SMTP and LMTP reception on aiosmtpd's seams: who talks to us, what he may ask, what he is told.

`session` holds one connection and its command loop. A command family is a file: `hello` (who are you, TLS), `auth`,
`envelope` (MAIL, RCPT), `content` (DATA, BDAT), `small` (the rest); `commands` is the table that says which state and
which door a command needs. What differs between the doors is a handler with aiosmtpd's hooks (`handle_MAIL`,
`handle_RCPT`, `handle_DATA`): `mx`, `submission`, `lmtp`.

Five sentences prevent bugs:

1. A reply is a value; one place writes it, so that enhanced codes, pipelining and hanging up after 421 hold for all.
2. A refusal is raised; any other exception is our fault: 451 4.3.0 with a reference, the traceback in our log.
3. 250 after the content is said when `flow.receive.accept` has come back from COMMIT, and never otherwise.
4. A peer that hangs up cancels nothing: the session's task is the server's, and what was complete is stored.
5. When it is not certain where the next command begins, the connection ends.
"""
