"""Tables that need code: `<table>.py` with `transform(rows: DataFrame) -> DataFrame`, found by name.

A transform gets the typed rows with their technical columns (`_…`) before the rules are applied. It may change or fill the contract's columns; it must
keep every row and every technical column. It is pure: no session, no reads, no clock.
"""
