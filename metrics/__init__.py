"""What is measured: one probe, one set of clocks and one set of tables for every backend."""
