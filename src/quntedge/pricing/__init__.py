"""What something costs, line by line. Pure."""
