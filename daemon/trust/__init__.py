"""Should we believe it? What the proofs of a message say, and how we prove our own.

Checks (`spf`, `dkim`, `arc`, `iprev`) ask the DNS through the `Resolver` they are handed, and return `results`;
`dmarc` puts them together as the domain in From wants it, `verdict` says what we do. `examine` runs them side by side.
`tls_policy` says how another server must be talked to. Nothing here writes, and time is handed in.

Four sentences prevent bugs:

1. A question that nobody could answer is a temporary result, never a pass and never a missing record.
2. Every number a stranger's record or message gives is compared with a limit before it costs anything.
3. A check never raises for what it was given: the message is judged by what is left.
4. What a result is called is the RFC's word (RFC 8601 section 2.7); it goes to the header, the trace and the log alike.
"""
