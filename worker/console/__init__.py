"""The console: the fleet in a browser. Each page asks the rooms below and shows what they say."""
