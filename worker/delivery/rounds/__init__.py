"""One request round for an integration: what is still news, sent once, and remembered."""
