"""The echo server: TCP, UDP and unix sockets; one process is one event loop, several share a port."""
