"""What was observed of a probe, as a verdict and a cause: one table."""
