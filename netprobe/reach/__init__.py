"""Who can reach what I bind: plan, predict, listen, probe, explain."""
