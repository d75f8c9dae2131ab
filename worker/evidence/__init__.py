"""The evidence of what became of every choice: receipts, and the chains that hold them together."""
