"""The ledger: an index of the receipts' stream that answers what became of every choice."""
