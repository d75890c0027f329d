"""Echo server and clients."""
