"""What a run would have cost: pure functions from what was measured and a list of prices.

``prices`` holds the prices as frozen values, ``functions`` and ``machines`` the formulas of the two sides; ``bill``
makes the table ``cost``, and ``summary`` and ``breakeven`` conclude from it. Formulas, sources and what is left out are
in ``docs/cost.md``. Nothing here reads a configuration.
"""
