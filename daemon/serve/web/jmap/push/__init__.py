"""What changed is told: by a stream of events, over a WebSocket, through a push service (RFC 8620 §7, RFC 8887)."""
