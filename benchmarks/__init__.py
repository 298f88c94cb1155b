"""What is measured, against what, and the last results (README.md). Not here: tests; nothing in here decides whether a build is green."""
