"""The code that travels to a vantage and probes from there: standard library only, Python 3.6 and later.

It probes for every vantage, ``local`` too: there :func:`netprobe.prober.engine.run` is called in this process;
elsewhere :mod:`netprobe.prober.bundle` sends the modules through the stdin of a Python, and
:mod:`netprobe.prober.session` answers questions there. It runs on Linux, macOS, the BSDs and Windows, and imports only
what travels with it.

What it reports is raw evidence (errno, ICMP, addresses, times); what that means is decided at home, by the one table in
``netprobe/outcome/failures.py``. A vantage needs no update when the table gets a row.
"""
