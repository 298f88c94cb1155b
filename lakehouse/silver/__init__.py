"""Silver: typed by the contract, ruled, deduplicated.

Here: raw records to typed columns (`parse`), what a change feed adds to that (`changes`), fields that are new or gone (`drift`), which record wins (`scd`),
the versions of a key (`history`), what a run has to do (`plan`), doing it (`build`), the assets made from contracts (`assets`), and `transforms/`: one file
for each table whose contract can't say it all.
"""
