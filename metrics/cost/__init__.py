"""What a run would have cost: pure functions from what was measured and a list of prices.

``prices`` has the prices as frozen values; ``functions`` and ``machine_hours`` have the formulas of the two sides;
``bill`` makes the table ``cost``, and ``breakeven`` concludes from it. Formulas, sources and what is left out are in
``docs/cost.md``. Nothing here reads a configuration.
"""
