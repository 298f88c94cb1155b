"""Silver: typed by the contract, ruled, deduplicated.

Here: raw records to typed columns (`parse`), which record wins (`scd`), what a run has to do (`plan`), doing it (`build`), the assets made from
contracts (`assets`), and `transforms/`: one file for each table whose contract can't say it all.
"""
