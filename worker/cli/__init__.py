"""The commands: thin, each calls the rooms below."""
