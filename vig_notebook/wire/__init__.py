"""The wire, pure: bytes to server-sent events to chunks of an answer, and requests to bytes."""
