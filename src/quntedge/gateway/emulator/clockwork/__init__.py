"""Lets time pass, in steps that can be watched and that those who follow the clock keep up with."""
