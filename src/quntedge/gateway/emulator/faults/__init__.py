"""What goes wrong on purpose, and what wrong answers look like."""
