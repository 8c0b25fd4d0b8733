"""The console for people, a client of both APIs."""
