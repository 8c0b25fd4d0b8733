"""The contract between the emulator and the official SDK: every answer, every parameter, every webhook."""
