"""The demo: every part of the product on one machine, with customers to look at. Never touches a real account."""
