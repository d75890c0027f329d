"""What is this address: text in, records out; pure."""
