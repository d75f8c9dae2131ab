"""What a fleet would do: predicted from measured costs, since no machine here runs a thousand."""
