"""What is kept: rows, files, audio on its way; what wakes those who wait, and whose locks are held. Knows no HTTP."""
