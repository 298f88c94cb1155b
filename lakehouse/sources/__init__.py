"""What can be read, and what is new there. One module per kind of source; each gives DataFrames of raw records with the envelope.

Not here: what has been taken in already (`bronze`), what a record means (`silver`).
"""
