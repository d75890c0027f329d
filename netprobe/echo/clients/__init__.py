"""The clients: send, ping and load."""
