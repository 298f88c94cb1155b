"""TPC-H as a second workload, which nobody here made up: contracts of its eight tables, its 22 queries, and what their answers are held against."""
