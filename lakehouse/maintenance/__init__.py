"""Keeping tables in order: what is worth doing (`plan`), doing it (`work`), when (`job`).

Nothing here changes a row, and no row's meaning: readers of the newest version see the same before, during and after. Not here: Delta's statements
(`engine.upkeep`), retention of personal data.
"""
