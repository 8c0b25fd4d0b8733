"""Who asks: keys, tokens, signing in, and how often each of them may ask."""
