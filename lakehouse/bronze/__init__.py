"""Bronze: what arrived, and where from. Here: taking in (`ingest`), the assets made from contracts (`assets`)."""
