"""What every rule of the emulator works on: the world with its clock, its agenda and the way news leaves."""
