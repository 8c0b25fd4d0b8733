"""How things are spelled on Whop's wire: times, amounts, errors, names of events, versions."""
