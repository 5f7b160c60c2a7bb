"""Messages: found, read, made and changed (RFC 8621 §4), with SearchSnippet/get (§5) and our own Email/view."""
