"""What people decide about tables and the platform holds to: which contract a table was made by. Not here: what a contract may say (`contracts`)."""
