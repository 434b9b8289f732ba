"""How fast and how light Bullherd is, printed as tables: ``python -m bench``, or one part alone.

Figures only: nothing here passes or fails. Each part also measures, in the same run, what no operator could
be faster than, so that the ratio says more than the milliseconds of one machine.
"""
