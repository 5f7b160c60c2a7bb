"""Octets by the id of their blob: uploads, downloads, parts of messages (RFC 8620 §6, RFC 9404)."""
