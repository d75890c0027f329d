"""The code that travels to a vantage and probes from there: standard library only, Python 3.6 and later."""
