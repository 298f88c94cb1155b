"""Mega Awesome Toys, the example business: a seeded generator of its files, and the truth of what must become of them.

    world        the company: machines, products, customers, what goes wrong on which day
    factory      sensor readings (JSON lines)      production   production runs (Parquet)
    sales        order lines (CSV)                 web          clicks (JSON lines)
    master       snapshots of machines (CSV), changes of products and customers (JSON lines)
    feed         what such changes come to
    landing      how files are written             truth        what the tables must hold
    generate     all of it, day by day

A source of data, not part of the platform: nothing here imports `lakehouse`, so that the truth can serve its tests as an oracle.
"""
