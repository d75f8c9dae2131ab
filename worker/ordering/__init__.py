"""The newest choice wins, attribute by attribute: the rule, and the state that it needs."""
