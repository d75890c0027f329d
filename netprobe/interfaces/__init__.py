"""Which addresses this host has."""
