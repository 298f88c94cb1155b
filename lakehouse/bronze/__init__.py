"""Bronze: what arrived, and where from. Here: what is already in (`ledger`), taking in (`ingest`), the assets made from contracts (`assets`)."""
