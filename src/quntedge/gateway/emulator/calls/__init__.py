"""What every call over HTTP goes through: how it is read and answered, and what stands before it."""
