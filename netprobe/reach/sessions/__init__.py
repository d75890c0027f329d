"""How a vantage is asked: one session each, whatever leads there."""
