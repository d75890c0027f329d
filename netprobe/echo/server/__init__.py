"""The echo server: TCP, UDP and unix sockets, one loop a process."""
